"""Prometheus's own word on its files, and whether what it asks for is there."""

import subprocess
from pathlib import Path

import yaml

from tests.unit.docker.compose import DOCKER, environment, host_names, listening_ports, services

PROMETHEUS = DOCKER / "prometheus"
# Where the services of others tell of themselves.
FOREIGN_PORTS = {"rabbitmq": 15692, "alertmanager": 9093, "localhost": 9090}


def check(promtool: Path, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration_and_rules_are_valid(promtool: Path) -> None:
    check(promtool, "check", "config", "prometheus.yml")


def test_each_alert_fires_when_it_should_and_only_then(promtool: Path) -> None:
    check(promtool, "test", "rules", "rules_test.yml")


def test_targets_are_services_that_listen_there() -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for job in configuration["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            (name,) = found["names"]
            assert found["port"] in listening_ports(host_names()[name]), job["job_name"]
        for found in job.get("static_configs", []):
            (target,) = found["targets"]
            name, _, port = target.partition(":")
            assert FOREIGN_PORTS[name] == int(port)


def test_every_process_that_listens_for_prometheus_is_asked() -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    names = {
        name
        for job in configuration["scrape_configs"]
        for found in job.get("dns_sd_configs", [])
        for name in found["names"]
    }
    telling = {name for name in services() if "TOKENMILL_METRICS_PORT" in environment(name)} | {"web"}
    workers = {name for name in services() if name.startswith("worker")}
    assert names == (telling - workers) | {"workers"}
    for worker in workers:
        assert services()[worker]["networks"] == {"inside": {"aliases": ["workers"]}}

"""The compose file, as its schema, the code and its own services see it."""

import re
import subprocess
import sys
import tomllib
from urllib.parse import urlsplit

import click
import pytest

from tasks.settings import Settings
from tests.unit.docker.compose import (
    COMPOSE_FILE,
    DOCKER,
    PROCESSES,
    VARIABLE,
    compose,
    environment,
    listening_ports,
    services,
)
from web.cli import cli

# By which the images of others know their variables.
FOREIGN_PREFIXES = {
    "caddy": "TOKENMILL_DOMAIN",
    "postgres": "POSTGRES_",
    "rabbitmq": "RABBITMQ_",
    "redis": "REDISCLI_AUTH",
    "grafana": "GF_",
}
NOT_SETTINGS = {"OMP_NUM_THREADS"}
EXACT_TAG = re.compile(r"^[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$")


def setting_names() -> set[str]:
    alias = Settings.model_config["alias_generator"]
    assert callable(alias)
    return {str(alias(name)) for name in Settings.model_fields}


def text_of(service: str) -> str:
    return str(services()[service])


def health_url(service: str) -> str | None:
    """What the health check asks for, if it asks over HTTP."""
    check = " ".join(services()[service].get("healthcheck", {}).get("test", []))
    found = re.search(r"http://[^'\"\s]+", check)
    return found[0] if found else None


def test_it_is_what_the_specification_allows() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_of_others_have_exact_versions() -> None:
    images = {name: each["image"] for name, each in services().items() if name not in PROCESSES}
    assert {name: image for name, image in images.items() if not EXACT_TAG.match(image)} == {}


def test_each_image_of_ours_is_built_by_a_service_that_no_profile_hides_from_its_users() -> None:
    for name in PROCESSES:
        users = services()[name].get("profiles")
        builders = [
            each
            for each in services().values()
            if each["image"] == services()[name]["image"]
            and "build" in each
            and each.get("profiles") in (None, users)
        ]
        assert builders, name
        assert all((DOCKER.parent / each["build"]["dockerfile"]).is_file() for each in builders)


@pytest.mark.parametrize("service", PROCESSES)
def test_command_is_one_of_ours(service: str) -> None:
    arguments = list(services()[service]["command"])
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        assert name in command.commands
        command = command.commands[name]
    with context:
        command.make_context(command.name, arguments)


@pytest.mark.parametrize("service", PROCESSES)
def test_variables_are_settings(service: str) -> None:
    assert set(environment(service)) - setting_names() <= NOT_SETTINGS


def test_the_same_processes_run_as_without_containers() -> None:
    """As many of each, too."""
    listed = tomllib.loads((DOCKER / "processes.toml").read_text())
    without = {each["command"]: each.get("count", 1) for each in listed.values() if isinstance(each, dict)}
    within = {
        " ".join(["tokenmill", *services()[name]["command"]]): services()[name]
        .get("deploy", {})
        .get("replicas", 1)
        for name in PROCESSES
        if name not in {"worker-gpu", "migrate"}
    }
    assert within == without | {"tokenmill flower": 1}


def test_variables_of_others_are_theirs() -> None:
    for service in set(services()) - set(PROCESSES):
        for name in environment(service):
            assert name.startswith(FOREIGN_PREFIXES[service]), (service, name)


def test_what_is_asked_of_the_operator_is_in_the_example() -> None:
    asked = {found["name"] for found in VARIABLE.finditer(COMPOSE_FILE.read_text())}
    asked |= {secret["environment"] for secret in compose()["secrets"].values()}
    example = re.findall(r"^([A-Z_]+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE)
    assert set(example) - {"COMPOSE_PROFILES"} == asked


def test_no_secret_has_a_value_of_its_own() -> None:
    for found in VARIABLE.finditer(COMPOSE_FILE.read_text()):
        if re.search("PASSWORD|KEY", found["name"]):
            assert (found["otherwise"] or "").startswith(":?"), found["name"]
    written = re.findall(r"^(?:ALERT_|.*(?:PASSWORD|KEYS?)=).*$", (DOCKER / ".env.example").read_text(), re.M)
    assert [line for line in written if not line.endswith("=")] == []


def test_every_service_has_a_health_check_of_its_own_or_of_its_image() -> None:
    for name, service in services().items():
        if name not in {"web", "worker", "worker-gpu", "worker-embeddings"}:
            assert "healthcheck" in service, name


@pytest.mark.parametrize("service", [name for name in PROCESSES if health_url(name)])
def test_health_check_asks_where_the_process_listens(service: str) -> None:
    url = urlsplit(health_url(service) or "")
    assert url.hostname == "127.0.0.1"
    assert url.port in listening_ports(service)


def test_volumes_are_declared_and_used() -> None:
    mounted = {volume.partition(":")[0] for each in services().values() for volume in each.get("volumes", [])}
    assert {name for name in mounted if re.match(r"^[a-z-]+$", name)} == set(compose()["volumes"])


def test_files_that_are_mounted_exist() -> None:
    for service in services().values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (DOCKER / volume.partition(":")[0]).exists(), volume


def test_only_caddy_is_reached_from_elsewhere() -> None:
    for name, service in services().items():
        outside = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        assert name == "caddy" or outside == [], name


def test_who_is_believed_about_addresses_is_caddy_alone() -> None:
    (subnet,) = compose()["networks"]["outside"]["ipam"]["config"]
    assert environment("web")["TOKENMILL_TRUSTED_PROXIES"] == subnet["subnet"]
    assert {name for name, each in services().items() if "outside" in each["networks"]} == {"caddy", "web"}


@pytest.mark.parametrize("service", PROCESSES)
def test_a_process_of_ours_can_never_be_root(service: str) -> None:
    described = services()[service]
    assert "user" not in described
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", ["web", "worker", "worker-gpu", "worker-embeddings", "scheduler"])
def test_there_is_time_to_drain(service: str) -> None:
    found = re.match(r"^(\d+)s$", services()[service]["stop_grace_period"])
    assert found
    assert int(found[1]) > Settings.model_fields["drain_grace_seconds"].default


def test_nothing_starts_before_the_schema_is_there() -> None:
    for service in set(PROCESSES) - {"migrate"}:
        assert services()[service]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services()["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


@pytest.mark.parametrize("service", PROCESSES)
def test_urls_lead_to_services(service: str) -> None:
    variables = environment(service)
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"):
        url = urlsplit(VARIABLE.sub("secret", variables[name]))
        assert url.hostname in services(), name
        assert url.password == "secret"


def test_workers_of_both_kinds_of_machine_run_the_same_model() -> None:
    assert environment("worker") == environment("worker-gpu")
    assert "gpu" in text_of("worker-gpu")
    assert services()["worker"]["profiles"] == ["cpu"]
    assert services()["worker-gpu"]["profiles"] == ["gpu"]

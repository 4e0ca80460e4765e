"""The compose file as the tests see it: anchors resolved, variables as they are written."""

import re
from functools import cache
from typing import Any

import yaml

from tests.unit.structure.source import ROOT

DOCKER = ROOT / "docker"
COMPOSE_FILE = DOCKER / "compose.yaml"
# Services that run images of ours.
PROCESSES = ("web", "worker", "worker-gpu", "worker-embeddings", "scheduler", "migrate", "flower")
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?P<otherwise>:[-?][^}]*)?\}")


@cache
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return content


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def environment(service: str) -> dict[str, str]:
    return dict(services()[service].get("environment", {}))


def host_names() -> dict[str, str]:
    """What other services may call a service, aliases too."""
    names = {name: name for name in services()}
    for service, description in services().items():
        networks = description["networks"]
        if isinstance(networks, dict):
            names |= {alias: service for network in networks.values() for alias in network["aliases"]}
    return names


def listening_ports(service: str) -> set[int]:
    """Where a service of ours listens inside its container."""
    variables = environment(service)
    named = ("TOKENMILL_PORT", "TOKENMILL_METRICS_PORT", "TOKENMILL_FLOWER_PORT")
    return {int(variables[name]) for name in named if name in variables}

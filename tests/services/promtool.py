"""Prometheus's checker of configurations and rules, which its package brings along."""

import shutil
from pathlib import Path

from tests.services.errors import ServiceMissing
from tests.services.install import install

PACKAGE = "prometheus"


def ensure_installed() -> Path:
    """The program, installed first where need be. Raises ServiceMissing."""
    found = shutil.which("promtool")
    if found is None:
        install(PACKAGE)
        found = shutil.which("promtool")
    if found is None:
        raise ServiceMissing(f"{PACKAGE} is installed, but no promtool was found on PATH")
    return Path(found)

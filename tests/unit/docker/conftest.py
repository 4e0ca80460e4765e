from pathlib import Path

import pytest

from tests.services import promtool as promtool_service


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's own checker of its files."""
    return promtool_service.ensure_installed()

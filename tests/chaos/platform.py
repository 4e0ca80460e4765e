"""The platform of a run: short leases, so that what takes minutes in earnest takes seconds here."""

from pathlib import Path
from typing import Any

from tests.chaos.model import write_catalog
from tests.chaos.services import Services
from tests.integration.processes.conftest import QUICK
from tests.services.platform import Platform

_SETTINGS: dict[str, Any] = QUICK | {
    "log_format": "json",
    "worker_slots": 16,
    "republish_after_seconds": 5,
    # High enough to refuse nobody, but it has Redis count every request.
    "requests_per_minute": 1_000_000,
    "webhook_interval_seconds": 5,
}


def platform_on(services: Services, folder: Path, **changed: Any) -> Platform:
    """Not a process of it runs yet."""
    settings = {
        **_SETTINGS,
        "catalog": write_catalog(folder),
        "data_dir": folder / "data",
        "queue_prefix": "chaos",
        **changed,
    }
    platform = Platform(
        folder, database_url=services.database_url, broker_url=services.broker_url, **settings
    )
    platform.environment |= {"REDIS_URL": services.redis_url, "OMP_NUM_THREADS": "1"}
    return platform

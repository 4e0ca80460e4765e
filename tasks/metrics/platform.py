"""How the platform stands, for whoever asks a scheduler: read from the database every few seconds at most."""

import threading
from collections.abc import Iterable
from time import monotonic

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.metrics.families.scheduler import DATABASE_READABLE
from tasks.metrics.platform_queries import read_platform
from tasks.metrics.readings import Reading, metrics_of

_KEPT_SECONDS = 5.0
# Prometheus waits ten.
_PATIENCE = text("SET LOCAL statement_timeout = '5s'")


class PlatformCollector(Collector):
    """While the database is away it tells that alone: old numbers would look like present ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: list[Reading] = []
        self._good_until = 0.0

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if monotonic() >= self._good_until:
                self._readings = _read()
                self._good_until = monotonic() + _KEPT_SECONDS
            return metrics_of(self._readings)


def _read() -> list[Reading]:
    try:
        with transaction() as connection:
            connection.execute(_PATIENCE)
            return [Reading(DATABASE_READABLE, 1), *read_platform(connection)]
    except DatabaseUnavailable:
        return [Reading(DATABASE_READABLE, 0)]

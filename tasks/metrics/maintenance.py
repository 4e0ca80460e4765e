"""How the timetable's tasks fare."""

from enum import StrEnum

from tasks.metrics import instruments
from tasks.metrics.families.scheduler import MAINTENANCE_RUNS, MAINTENANCE_SECONDS


class Outcome(StrEnum):
    """What became of a run: an outage puts it off, anything else is a fault."""

    OK = "ok"
    DEFERRED = "deferred"
    FAILED = "failed"


def count_run(task: str, outcome: Outcome, seconds: float) -> None:
    instruments.counter(MAINTENANCE_RUNS).labels(task, outcome.value).inc()
    instruments.histogram(MAINTENANCE_SECONDS).labels(task).observe(seconds)

"""Which services the process leaves alone because they fail."""

from tasks.metrics import instruments
from tasks.metrics.families.everywhere import CIRCUIT_OPEN


def note(target: str, *, is_open: bool) -> None:
    """A circuit has been opened or closed. ``target`` is one of few words, never an address."""
    instruments.gauge(CIRCUIT_OPEN).labels(target).set(is_open)

"""Which services the process leaves alone because they fail."""

from collections.abc import Mapping

from tasks.metrics import instruments
from tasks.metrics.families.everywhere import CIRCUIT_OPEN


def note(states: Mapping[str, bool]) -> None:
    """Whether each circuit is open, by its target: one of few words, never an address."""
    for target, is_open in states.items():
        instruments.gauge(CIRCUIT_OPEN).labels(target).set(is_open)

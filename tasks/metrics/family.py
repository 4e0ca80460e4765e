"""What a metric is called and what it means, apart from its values."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["livesum", "livemax"]

SECONDS_OF_A_REQUEST = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    1800.0,
)
SECONDS_OF_A_JOB = (*SECONDS_OF_A_REQUEST, 3600.0, 14_400.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name. A label has few values; ``bounds`` are the upper ends of a histogram's buckets."""

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    across: Across = "livesum"


def counter(name: str, help_text: str, *labels: str) -> Family:
    """What only grows."""
    return Family("counter", name, help_text, labels)


def gauge(name: str, help_text: str, *labels: str, across: Across = "livesum") -> Family:
    """What comes and goes; ``across`` processes that share it is added up, or the largest counts."""
    return Family("gauge", name, help_text, labels, across=across)


def histogram(name: str, help_text: str, *labels: str, bounds: tuple[float, ...] = ()) -> Family:
    """How many were how large; without ``bounds``, in the buckets of who measured."""
    return Family("histogram", name, help_text, labels, bounds)

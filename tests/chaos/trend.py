"""Whether a series of measurements grows: by the median of all slopes, which spikes don't move."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

Point = tuple[float, float]
"""Seconds, and what was measured then."""

_MOST_POINTS = 200
_MOSTLY_RISING = 0.65
_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Trend:
    """``rising`` is the share of pairs of measurements of which the later one is the higher."""

    median: float
    last: float
    per_hour: float
    rising: float

    def grows(self, allowed_per_hour: float, share_of_median: float = 0.1) -> bool:
        """More an hour than is allowed, and more than a share of what there is, and not by chance."""
        allowed = max(allowed_per_hour, abs(self.median) * share_of_median)
        return self.per_hour > allowed and self.rising > _MOSTLY_RISING


def trend(points: Sequence[Point]) -> Trend:
    """Of the second half, for whatever starts grows at first."""
    half = thinned(points[len(points) // 2 :])
    if not half:
        return Trend(0.0, 0.0, 0.0, 0.0)
    values = [value for _, value in half]
    pairs = [(later, sooner) for sooner, later in combinations(half, 2) if later[0] > sooner[0]]
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for later, sooner in pairs]
    rising = sum(later[1] > sooner[1] for later, sooner in pairs) / len(pairs) if pairs else 0.0
    per_hour = statistics.median(slopes) * _HOUR_SECONDS if slopes else 0.0
    return Trend(statistics.median(values), values[-1], per_hour, rising)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many that all pairs of them can be looked at."""
    step = -(-len(points) // _MOST_POINTS) or 1
    return points[::step]

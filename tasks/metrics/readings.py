"""Numbers that are looked up when somebody asks, rather than counted as things happen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from tasks.metrics.family import Family, Kind


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of one series of a counter or a gauge."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """``counts`` are those of each bucket alone; there is one more than ``bounds``, for all above."""

    family: Family
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float
    labels: tuple[str, ...] = ()


def metrics_of(readings: Iterable[Reading | HistogramReading]) -> Iterable[Metric]:
    """Readings as the library takes them, those of a family together."""
    found: dict[str, Metric] = {}
    for reading in readings:
        family = reading.family
        metric = found.setdefault(family.name, _empty(family))
        if isinstance(metric, HistogramMetricFamily) and isinstance(reading, HistogramReading):
            metric.add_metric(reading.labels, _cumulative(reading), reading.total)
        elif isinstance(metric, CounterMetricFamily | GaugeMetricFamily) and isinstance(reading, Reading):
            metric.add_metric(reading.labels, reading.value)
        else:
            raise TypeError(f"{family.name} is a {family.kind}")
    return found.values()


def _empty(family: Family) -> Metric:
    kinds: dict[Kind, Callable[..., Metric]] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return kinds[family.kind](family.name, family.help, labels=family.labels)


def _cumulative(reading: HistogramReading) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*reading.bounds, float("inf")), reading.counts, strict=True):
        below += count
        buckets.append((floatToGoString(bound), below))  # type: ignore[no-untyped-call]
    return buckets

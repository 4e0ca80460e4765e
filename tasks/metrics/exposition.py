"""All that a process has to tell, in Prometheus' text format."""

from collections.abc import Callable, Iterable, Iterator

import structlog
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tasks.metrics import instruments
from tasks.metrics.families.everywhere import BUILD_INFO
from tasks.metrics.process import note_process
from tasks.metrics.readings import Reading, metrics_of
from tasks.version import version

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

log = structlog.get_logger(__name__)

_process = ProcessCollector(registry=None)
_added: list[Collector] = []


def add(collector: Collector) -> None:
    """Have something asked from now on, whenever the process is. Adding it again changes nothing."""
    if collector not in _added:
        _added.append(collector)


def remove(collector: Collector) -> None:
    """Ask it no more."""
    if collector in _added:
        _added.remove(collector)


def exposition() -> bytes:
    """Everything, now. What fails is left out, and logged."""
    return generate_latest(_Everything())


class _Everything(Collector):
    def collect(self) -> Iterator[Metric]:
        note_process()
        sources: list[tuple[str, Callable[[], Iterable[Metric]]]] = [
            ("build", _build),
            ("counted", instruments.collect),
            *((type(collector).__name__, collector.collect) for collector in _added),
        ]
        if not instruments.shared():
            # Of one process; which of several would depend on who happened to be asked.
            sources.append(("process", _process.collect))
        for name, collect in sources:
            yield from _safely(name, collect)


def _safely(name: str, collect: Callable[[], Iterable[Metric]]) -> list[Metric]:
    try:
        return list(collect())
    except Exception as error:
        log.warning("metrics left out", action="metrics_failed", of=name, error=repr(error))
        return []


def _build() -> Iterable[Metric]:
    return metrics_of([Reading(BUILD_INFO, 1, (version(),))])

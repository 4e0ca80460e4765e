"""What is counted as it happens: in the memory of this process, or in files that several processes share.

Each instrument is made when it is first asked for, since what it counts in is settled with that.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from tasks.metrics.family import Family

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)

# When a series began is a series more for each.
disable_created_metrics()  # type: ignore[no-untyped-call]

_lock = threading.Lock()
_made: dict[str, Counter | Gauge | Histogram] = {}
_registry = CollectorRegistry()
_folder: Path | None = None


def counter(family: Family) -> Counter:
    return _find(family, Counter, _make_counter)


def gauge(family: Family) -> Gauge:
    """One that counts for its process, for as long as that lives."""
    return _find(family, Gauge, _make_gauge)


def histogram(family: Family) -> Histogram:
    return _find(family, Histogram, _make_histogram)


def share(folder: Path) -> None:
    """Count in files from now on, here and in every process forked from here, so that each can tell of all.

    What was counted before is forgotten.
    """
    global _folder
    with _lock:
        for made in _made.values():
            _registry.unregister(made)
        _made.clear()
        _folder = folder
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        # The library looks at the variable when it is imported, which may have been long ago.
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def shared() -> bool:
    """Whether other processes count in the same."""
    return _folder is not None


def forget_process(process_id: int) -> None:
    """A process that shared has died: what it had going is over, what it counted stays."""
    if _folder is not None:
        mark_process_dead(process_id, str(_folder))  # type: ignore[no-untyped-call]


def collect() -> Iterable[Metric]:
    """Everything counted so far, by all processes that share."""
    if _folder is None:
        return _registry.collect()
    merged: Iterable[Metric] = MultiProcessCollector.merge(list(_files(_folder)))  # type: ignore[no-untyped-call]
    return merged


def _files(folder: Path) -> Iterator[str]:
    """Without those that another process is only just making."""
    for path in folder.glob("*.db"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        if size:
            yield str(path)


def _find(family: Family, kind: type[Instrument], make: Callable[[Family], Instrument]) -> Instrument:
    found = _made.get(family.name)
    if found is None:
        with _lock:
            found = _made.get(family.name)
            if found is None:
                found = _made[family.name] = make(family)
    if not isinstance(found, kind):
        raise TypeError(f"{family.name} is a {family.kind}")
    return found


def _make_counter(family: Family) -> Counter:
    return Counter(family.name, family.help, family.labels, registry=_registry)


def _make_gauge(family: Family) -> Gauge:
    across = family.across
    return Gauge(family.name, family.help, family.labels, registry=_registry, multiprocess_mode=across)


def _make_histogram(family: Family) -> Histogram:
    return Histogram(family.name, family.help, family.labels, registry=_registry, buckets=family.bounds)

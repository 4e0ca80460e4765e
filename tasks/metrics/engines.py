"""What the engines of a worker have counted, read when somebody asks: nothing is added to their steps."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from inference.encoder_stats import EncoderStats
from inference.histogram import HistogramReading as Histogram
from inference.stats import EngineStats
from tasks.metrics import exposition
from tasks.metrics.families import worker as families
from tasks.metrics.family import Family
from tasks.metrics.readings import HistogramReading, Reading, metrics_of

Stats = Callable[[], EngineStats | EncoderStats]


class EngineCollector(Collector):
    """The engines of this process, by the model that each runs."""

    def __init__(self) -> None:
        self._stats: dict[str, Stats] = {}

    def add(self, model: str, stats: Stats) -> None:
        self._stats[model] = stats

    def remove(self, model: str) -> None:
        self._stats.pop(model, None)

    def collect(self) -> Iterable[Metric]:
        return metrics_of(
            reading for model, stats in list(self._stats.items()) for reading in _read(model, stats())
        )


_collector = EngineCollector()


def watch(model: str, stats: Stats) -> None:
    """Tell of an engine from now on."""
    _collector.add(model, stats)
    exposition.add(_collector)


def unwatch(model: str) -> None:
    """It is gone."""
    _collector.remove(model)


def _read(model: str, stats: EngineStats | EncoderStats) -> Iterator[Reading | HistogramReading]:
    yield Reading(families.ENGINE_STEPS, stats.steps, (model,))
    yield _histogram(families.ENGINE_STEP_SECONDS, stats.seconds_of_steps, model)
    yield Reading(families.ENGINE_RUNNING_REQUESTS, stats.running, (model,))
    yield Reading(families.ENGINE_WAITING_REQUESTS, stats.waiting, (model,))
    if isinstance(stats, EncoderStats):
        yield Reading(families.ENGINE_ROWS, stats.inputs, (model,))
        yield Reading(families.ENGINE_PREFILL_TOKENS, stats.tokens, (model,))
    else:
        yield from _read_batch(model, stats)
        yield from _read_cache(model, stats)


def _read_batch(model: str, stats: EngineStats) -> Iterator[Reading | HistogramReading]:
    yield _histogram(families.ENGINE_FIRST_TOKEN_SECONDS, stats.seconds_to_first_token, model)
    yield _histogram(families.ENGINE_INTER_TOKEN_SECONDS, stats.seconds_between_tokens, model)
    yield Reading(families.ENGINE_PREFILL_TOKENS, stats.prefill_tokens, (model,))
    yield Reading(families.ENGINE_DECODE_TOKENS, stats.decode_tokens, (model,))
    yield Reading(families.ENGINE_ROWS, stats.rows, (model,))
    yield Reading(families.ENGINE_SLOTS, stats.slots, (model,))
    yield Reading(families.ENGINE_PREEMPTIONS, stats.preemptions, (model,))
    yield Reading(families.ENGINE_MEMORY_RETRIES, stats.memory_retries, (model,))


def _read_cache(model: str, stats: EngineStats) -> Iterator[Reading]:
    yield Reading(families.ENGINE_CACHE_TOKENS, stats.cache_tokens, (model, "capacity"))
    yield Reading(families.ENGINE_CACHE_TOKENS, stats.cache_tokens_leased, (model, "leased"))
    yield Reading(families.ENGINE_CACHE_TOKENS, stats.cache_tokens_retained, (model, "retained"))
    yield Reading(families.ENGINE_CACHE_HIT_TOKENS, stats.cache_hit_tokens, (model,))
    yield Reading(families.ENGINE_CACHE_LOOKUP_TOKENS, stats.cache_lookup_tokens, (model,))
    yield Reading(families.ENGINE_CACHE_EVICTIONS, stats.cache_evictions, (model,))


def _histogram(family: Family, measured: Histogram, model: str) -> HistogramReading:
    return HistogramReading(family, measured.bounds, measured.counts, measured.total, (model,))

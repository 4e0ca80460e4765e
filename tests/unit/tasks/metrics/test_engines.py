"""Engines' own counts as Prometheus reads them."""

from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from inference.encoder_stats import EncoderCounters, EncoderStats
from inference.histogram import Histogram
from inference.request import OutcomeStatus
from inference.stats import SECONDS_OF_A_STEP, EngineStats
from tasks.metrics.engines import EngineCollector
from tests.unit.tasks.metrics.samples import Page


def engine_stats() -> EngineStats:
    steps, tokens = Histogram(SECONDS_OF_A_STEP), Histogram((0.1, 1.0))
    for seconds in (0.003, 0.004, 0.3, 99.0):
        steps.add(seconds)
    tokens.add(0.5)
    return EngineStats(
        steps=4,
        step_seconds=99.307,
        last_step_seconds=99.0,
        longest_step_seconds=99.0,
        rows=9,
        prefill_tokens=20,
        decode_tokens=8,
        preemptions=1,
        memory_retries=2,
        requests=dict.fromkeys(OutcomeStatus, 0),
        seconds_of_steps=steps.read(),
        seconds_to_first_token=tokens.read(),
        seconds_between_tokens=tokens.read(),
        running=3,
        waiting=5,
        slots=8,
        cache_tokens=1024,
        cache_tokens_leased=256,
        cache_tokens_retained=128,
        cache_hit_tokens=10,
        cache_lookup_tokens=30,
        cache_evictions=7,
    )


def encoder_stats() -> EncoderStats:
    counters = EncoderCounters()
    counters.count(inputs=4, tokens=60, seconds=0.25)
    return EncoderStats(
        steps=counters.steps,
        step_seconds=0.25,
        last_step_seconds=counters.last_step_seconds,
        seconds_of_steps=counters.seconds_of_steps.read(),
        inputs=counters.inputs,
        tokens=counters.tokens,
        waiting=2,
        running=1,
    )


def read(collector: EngineCollector) -> Page:
    return Page.parse(generate_latest(collector).decode())


def test_engine_tells_its_totals_and_how_it_stands() -> None:
    collector = EngineCollector()
    collector.add("stories", engine_stats)
    found = read(collector)
    counted = ("steps", "rows", "prefill_tokens", "decode_tokens", "preemptions", "memory_retries")
    assert [found.of(f"engine_{name}_total", model="stories") for name in counted] == [4, 9, 20, 8, 1, 2]
    stands = ("running_requests", "waiting_requests", "slots")
    assert [found.of(f"engine_{name}", model="stories") for name in stands] == [3, 5, 8]
    cache = ("cache_hit_tokens", "cache_lookup_tokens", "cache_evictions")
    assert [found.of(f"engine_{name}_total", model="stories") for name in cache] == [10, 30, 7]
    states = ("capacity", "leased", "retained")
    assert [found.of("engine_cache_tokens", model="stories", state=state) for state in states] == [
        *(1024, 256, 128)
    ]


@pytest.mark.parametrize(("le", "count"), [("0.002", 0), ("0.005", 2), ("0.5", 3), ("30.0", 3), ("+Inf", 4)])
def test_buckets_add_up(le: str, count: int) -> None:
    collector = EngineCollector()
    collector.add("stories", engine_stats)
    found = read(collector)
    assert found.of("engine_step_seconds_bucket", model="stories", le=le) == count
    assert found.of("engine_step_seconds_count", model="stories") == 4
    assert found.of("engine_step_seconds_sum", model="stories") == pytest.approx(99.307)


def test_several_engines_are_told_apart_and_one_that_stopped_is_gone() -> None:
    collector = EngineCollector()
    collector.add("stories", engine_stats)
    collector.add("others", lambda: replace(engine_stats(), steps=6))
    collector.add("words", encoder_stats)
    found = read(collector)
    assert [found.of("engine_steps_total", model=model) for model in ("stories", "others", "words")] == [
        4,
        6,
        1,
    ]
    assert found.of("engine_rows_total", model="words") == 4
    assert found.of("engine_prefill_tokens_total", model="words") == 60
    assert found.of("engine_step_seconds_bucket", model="words", le="0.5") == 1
    assert found.labels_of("engine_slots", "model") == {"stories", "others"}
    collector.remove("others")
    assert read(collector).labels_of("engine_steps_total", "model") == {"stories", "words"}

"""An engine under everything at once for a while; `python -m tests.bench.engine_stress` is for more."""

import os
import threading

import pytest

from inference.loader import LoadedModel
from inference.request import OutcomeStatus
from tests.integration.inference.engine_stress import tiny_stress

MINUTES = float(os.environ.get("TOKENMILL_TEST_STRESS_MINUTES", "0.25"))
GROWTH_BYTES = 32 << 20


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 600)
def test_two_hundred_threads_leave_no_request_without_its_end_and_no_trace(tiny_loaded: LoadedModel) -> None:
    threads_before = set(threading.enumerate())
    report = tiny_stress(tiny_loaded, seconds=60 * MINUTES).run()
    assert report.faults == []
    assert set(report.endings) == {"refused", *OutcomeStatus}
    assert report.stats.preemptions > 0
    assert report.stats.memory_retries > 0
    assert report.stats.cache_hit_tokens > 0
    assert report.stats.cache_evictions > 0
    assert (report.stats.running, report.stats.waiting, report.stats.cache_tokens_leased) == (0, 0, 0)
    assert report.memory_at_the_end_bytes < report.memory_after_warm_up_bytes + GROWTH_BYTES
    assert threads_before.issuperset(threading.enumerate())

from hypothesis import given
from hypothesis import strategies as st

from tasks.retry_after import estimate


def test_estimate_follows_the_drain_rate() -> None:
    assert estimate(queued=30, ended_in_window=60) == 30


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_estimate_is_always_a_header_the_sdk_accepts(queued: int, ended: int) -> None:
    assert 1 <= estimate(queued, ended) <= 120

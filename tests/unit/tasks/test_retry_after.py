import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import queue_state, retry_after
from tasks.plan import ServiceTier
from tasks.queue_state import QueueState


def standing(monkeypatch: pytest.MonkeyPatch, *waiting: int, jobs_per_second: float) -> None:
    state = QueueState((5.0, 5.0, 5.0), waiting, jobs_per_second)
    monkeypatch.setattr(queue_state, "of", lambda model: state)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [(ServiceTier.PRIORITY, 10), (ServiceTier.DEFAULT, 30), (ServiceTier.FLEX, 60), (ServiceTier.BATCH, 60)],
)
def test_time_is_that_of_what_runs_first_at_the_rate_at_which_jobs_end(
    monkeypatch: pytest.MonkeyPatch, tier: ServiceTier, expected: int
) -> None:
    standing(monkeypatch, 10, 20, 30, jobs_per_second=1.0)
    assert retry_after.seconds("tiny", tier) == expected


def test_it_is_a_second_where_nothing_waits_or_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    standing(monkeypatch, 0, 0, 0, jobs_per_second=1.0)
    assert retry_after.seconds("tiny", ServiceTier.FLEX) == 1
    standing(monkeypatch, 10, 10, 10, jobs_per_second=0.0)
    assert retry_after.seconds("tiny", ServiceTier.FLEX) == 1


@given(st.integers(0, 10**6), st.floats(0.001, 10**6))
def test_it_is_always_a_header_the_sdk_accepts(waiting: int, jobs_per_second: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        standing(monkeypatch, waiting, 0, 0, jobs_per_second=jobs_per_second)
        assert 1 <= retry_after.seconds("tiny", ServiceTier.FLEX) <= 120

"""Whose lines go next."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tasks.feeding import OpenBatch, next_batch, window

SLICE = 64


def batch(name: str, project: str = "one", seconds_left: float = 86_400, unfinished: int = 100) -> OpenBatch:
    return OpenBatch(name, project, seconds_left, unfinished)


BATCHES = st.lists(
    st.builds(
        OpenBatch,
        id=st.text("abc", min_size=1, max_size=3),
        project_id=st.sampled_from(["one", "two", "three"]),
        seconds_left=st.floats(1, 1e6),
        unfinished=st.integers(1, 50_000),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.id,
)


def shares(batches: Sequence[OpenBatch], slices: int) -> Counter[str]:
    """What each project has with the workers after so many slices, none of which ends."""
    flying: Counter[str] = Counter()
    for _ in range(slices):
        flying[next_batch(batches, flying, 0).project_id] += SLICE
    return flying


@given(BATCHES, st.integers(1, 50))
def test_projects_with_enough_lines_never_differ_by_more_than_a_slice(
    batches: list[OpenBatch], slices: int
) -> None:
    flying = shares(batches, slices)
    counts = [flying[project] for project in {one.project_id for one in batches}]
    assert max(counts) - min(counts) <= SLICE


@given(BATCHES, st.integers(0, 1000))
def test_choice_does_not_depend_on_the_order_of_the_batches(batches: list[OpenBatch], rate: int) -> None:
    assert next_batch(batches, {}, rate) == next_batch(batches[::-1], {}, rate)


def test_batch_that_expires_first_goes_first_within_its_project() -> None:
    soon, late = batch("a", seconds_left=3600), batch("b", seconds_left=7200)
    assert next_batch([late, soon], {}, 0) == soon


def test_batch_that_would_miss_its_deadline_goes_before_a_project_with_less() -> None:
    urgent = batch("a", "one", seconds_left=10, unfinished=900)
    patient = batch("b", "two")
    assert next_batch([patient, urgent], {"one": 1000}, lines_per_second=100) == urgent
    assert next_batch([patient, urgent], {"one": 1000}, lines_per_second=10_000) == patient


def test_two_slices_wait_for_each_worker_and_more_for_fast_ones() -> None:
    assert window(3, 0, SLICE) == 6 * SLICE
    assert window(1, 5000, SLICE) == 5000


def test_without_a_worker_a_little_waits_so_that_one_is_called_for() -> None:
    assert window(0, 0, SLICE) == 2 * SLICE

"""The page as a whole."""

from collections.abc import Iterable, Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tasks.metrics import circuits, exposition
from tasks.metrics.families.everywhere import BUILD_INFO
from tasks.metrics.families.scheduler import OUTBOX_JOBS
from tasks.metrics.readings import HistogramReading, Reading, metrics_of
from tests.unit.tasks.metrics.samples import page


class Outbox(Collector):
    def collect(self) -> Iterable[Metric]:
        return metrics_of([Reading(OUTBOX_JOBS, 3)])


class Broken(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from metrics_of([Reading(OUTBOX_JOBS, 4)])
        raise RuntimeError("the hardware is gone")


@pytest.fixture
def added() -> Iterator[list[Collector]]:
    collectors: list[Collector] = [Outbox(), Broken()]
    yield collectors
    for collector in collectors:
        exposition.remove(collector)


def test_page_says_which_version_runs_and_how_the_process_is() -> None:
    found = page()
    assert len(found.labels_of("build_info", "version")) == 1
    assert found.values["process_resident_memory_bytes", frozenset()] > 0


def test_what_was_added_is_asked_once_and_no_more_when_it_was_removed(added: list[Collector]) -> None:
    outbox, _ = added
    exposition.add(outbox)
    exposition.add(outbox)
    assert page().of("outbox_jobs") == 3
    exposition.remove(outbox)
    exposition.remove(outbox)
    assert not page().has("outbox_jobs")


def test_one_that_fails_is_left_out_and_the_others_are_told(added: list[Collector]) -> None:
    outbox, broken = added
    exposition.add(broken)
    exposition.add(outbox)
    assert page().of("outbox_jobs") == 3


def test_circuit_is_open_or_closed() -> None:
    circuits.note({"broker": True, "redis": False})
    assert page().of("circuit_open", target="broker") == 1
    circuits.note({"broker": False})
    assert page().of("circuit_open", target="broker") == 0


def test_reading_of_another_kind_than_its_family_is_a_fault() -> None:
    with pytest.raises(TypeError, match="build_info is a gauge"):
        metrics_of([HistogramReading(BUILD_INFO, (1.0,), (0, 0), 0.0, ("1",))])

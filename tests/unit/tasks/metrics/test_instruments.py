"""Counting in files that processes share."""

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, values

from tasks.metrics import instruments
from tasks.metrics.families.everywhere import CIRCUIT_OPEN, JOBS_ADMITTED
from tasks.metrics.families.web import HTTP_REQUEST_SECONDS, STREAMS_OPEN
from tests.unit.tasks.metrics.isolation import isolated
from tests.unit.tasks.metrics.samples import page

__all__ = ["isolated"]

ADMITTED = {"model": "other", "tier": "default"}


@pytest.fixture
def shared(isolated: None, tmp_path: Path) -> Path:
    """The folder that this process counts in, as if it had been told so at its start."""
    instruments.counter(JOBS_ADMITTED).labels("other", "default").inc(100)
    instruments.share(tmp_path)
    return tmp_path


def test_what_a_process_counted_outlives_it_and_what_it_had_going_does_not(shared: Path) -> None:
    instruments.counter(JOBS_ADMITTED).labels("other", "default").inc(2)
    instruments.gauge(STREAMS_OPEN).inc()
    found = page()
    assert (found.of("jobs_admitted_total", **ADMITTED), found.of("streams_open")) == (2, 1)
    instruments.forget_process(os.getpid())
    found = page()
    assert (found.of("jobs_admitted_total", **ADMITTED), found.of("streams_open")) == (2, 0)


def test_processes_are_added_up_but_for_what_is_either_so_or_not(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process_id in (11, 12):
        # Another process: it has made nothing yet, and writes to files of its own.
        monkeypatch.setattr(
            values, "ValueClass", values.MultiProcessValue(lambda process_id=process_id: process_id)
        )
        monkeypatch.setattr(instruments, "_made", {})
        monkeypatch.setattr(instruments, "_registry", CollectorRegistry())
        instruments.counter(JOBS_ADMITTED).labels("other", "default").inc()
        instruments.histogram(HTTP_REQUEST_SECONDS).labels("/v1/jobs").observe(0.02)
        instruments.gauge(STREAMS_OPEN).inc(2)
        instruments.gauge(CIRCUIT_OPEN).labels("redis").set(1)
    found = page()
    assert found.of("jobs_admitted_total", **ADMITTED) == 2
    assert found.of("http_request_seconds_bucket", route="/v1/jobs", le="0.025") == 2
    assert found.of("http_request_seconds_count", route="/v1/jobs") == 2
    assert found.of("streams_open") == 4
    assert found.of("circuit_open", target="redis") == 1
    assert {path.name for path in shared.glob("counter_*")} == {"counter_11.db", "counter_12.db"}


def test_file_that_is_only_being_made_disturbs_nobody(shared: Path) -> None:
    instruments.gauge(STREAMS_OPEN).inc()
    (shared / "counter_999.db").touch()
    assert page().of("streams_open") == 1


def test_memory_of_one_of_several_processes_is_not_told(shared: Path) -> None:
    assert "process_resident_memory_bytes" not in page().families


def test_family_of_another_kind_is_a_fault() -> None:
    instruments.gauge(STREAMS_OPEN)
    with pytest.raises(TypeError, match="streams_open is a gauge"):
        instruments.counter(STREAMS_OPEN)

"""What those who watch a worker are told of its jobs and slices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from inference.request import SamplingParams
from tasks.flight import Flight, Flights
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus
from tasks.sampling import Sampling
from tasks.shown_tasks import ShownTasks, TaskEvent

JOB = ClaimedJob(
    id="job_1",
    attempt=1,
    type="completion",
    rank=1,
    request={"prompt": "a secret"},
    prompts=((1, 2),),
    sampling=Sampling(SamplingParams(max_tokens=8)),
    deadline_in_seconds=60.0,
)


def ending(status: JobStatus, **fields: Any) -> Ending:
    return Ending(job_id="job_1", attempt=1, status=status, output_text="a secret answer", **fields)


def flown(status: JobStatus, **fields: Any) -> list[TaskEvent]:
    return ShownTasks("small").gone(Flight(JOB, ended_as=ending(status, **fields)))


def lines(*numbers: int) -> list[Flight]:
    return [Flight(replace(JOB, id=f"job_{number}", batch_id="batch_1")) for number in numbers]


def kinds(events: Sequence[TaskEvent]) -> list[tuple[str, str]]:
    return [(event["type"], event["uuid"]) for event in events]


def test_job_is_named_after_its_model_and_shows_its_id_and_nothing_of_what_it_asks() -> None:
    shown = ShownTasks("small")
    events = shown.received("job_1") + shown.started(Flight(JOB))
    assert kinds(events) == [("task-received", "job_1"), ("task-started", "job_1")]
    for event in events:
        assert (event["name"], event["args"]) == ("job of small", "('job_1',)")
    assert "secret" not in str(events)


def test_job_that_completed_succeeded_with_its_tokens() -> None:
    (event,) = flown(JobStatus.COMPLETED, prompt_tokens=7, cached_tokens=2, completion_tokens=5)
    assert event["type"] == "task-succeeded"
    assert event["result"] == "7 input (2 cached), 5 output tokens"
    assert event["runtime"] >= 0
    assert "secret" not in str(event)


def test_job_that_failed_failed_with_its_code_alone() -> None:
    fields = {"error_code": "invalid_generation", "error_message": "the prompt 'a secret' is wrong"}
    (event,) = flown(JobStatus.FAILED, **fields)
    assert (event["type"], event["exception"]) == ("task-failed", "invalid_generation")
    assert "secret" not in str(event)


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.EXPIRED])
def test_job_that_was_cancelled_or_expired_was_revoked(status: JobStatus) -> None:
    (event,) = flown(status)
    assert (event["type"], event["expired"]) == ("task-revoked", status is JobStatus.EXPIRED)
    assert kinds(ShownTasks("small").ended_unclaimed("job_1", status)) == [("task-revoked", "job_1")]


def test_job_that_another_message_ran_is_not_told_of_twice() -> None:
    assert ShownTasks("small").ended_unclaimed("job_1", JobStatus.COMPLETED) == []
    assert ShownTasks("small").ended_unclaimed("job_1", JobStatus.IN_PROGRESS) == []


def test_job_that_is_handed_back_is_tried_again() -> None:
    shown = ShownTasks("small")
    flight = Flight(JOB)
    assert kinds(shown.handed_back(flight)) == [("task-retried", "job_1")]
    assert shown.gone(flight) == []


def test_slice_succeeds_when_its_last_line_is_gone_and_counts_how_they_ended() -> None:
    shown = ShownTasks("small")
    flights = lines(1, 2, 3)
    received, started = shown.slice_started("slice_1", flights)
    assert (received["name"], received["args"]) == ("batch slice of small", "('batch_1',)")
    assert kinds([started]) == [("task-started", "slice_1")]
    flights[0].ended_as = ending(JobStatus.COMPLETED)
    flights[1].ended_as = ending(JobStatus.FAILED)
    assert shown.gone(flights[0]) == shown.gone(flights[1]) == []
    assert shown.handed_back(flights[2]) == []
    (succeeded,) = shown.gone(flights[2])
    assert (succeeded["type"], succeeded["uuid"]) == ("task-succeeded", "slice_1")
    assert succeeded["result"] == "1 completed, 1 failed, 1 handed back"


def test_slice_without_lines_is_not_shown() -> None:
    assert ShownTasks("small").slice_started("slice_1", []) == []


def test_flight_that_makes_way_for_a_newer_one_of_its_job_is_gone() -> None:
    gone: list[Flight] = []
    flights = Flights(gone.append)
    older, newer = Flight(JOB), Flight(JOB)
    flights.add(older)
    flights.add(newer)
    flights.remove(older)
    assert gone == [older]
    flights.remove(newer)
    assert gone == [older, newer]

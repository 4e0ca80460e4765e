from dataclasses import replace
from time import monotonic

import pytest

from inference.request import FinishReason, Outcome, OutcomeStatus, Usage
from tasks.generation import ending, engine_request
from tasks.jobs import ClaimedJob
from tasks.models import JobStatus

JOB = ClaimedJob(
    id="job_1",
    attempt=2,
    request={"type": "completion", "prompt": "a", "stop": "\n"},
    prompt_token_ids=[1, 2],
    max_tokens=9,
    seed=7,
    deadline_in_seconds=30.0,
    generated_token_ids=(5,),
)
DONE = Outcome(OutcomeStatus.COMPLETED, (5, 6), " b", Usage(2, 1, 2), FinishReason.STOP)


def test_request_carries_what_was_admitted() -> None:
    request = engine_request(JOB)
    assert request.prompt_token_ids == (1, 2)
    assert request.generated_token_ids == (5,)
    assert (request.params.max_tokens, request.params.seed, request.params.stop) == (9, 7, ("\n",))
    assert (request.params.temperature, request.params.top_p) == (1.0, 1.0)
    assert request.deadline_seconds == pytest.approx(monotonic() + 30, abs=1)


def test_completed_job_is_billed_for_its_usage() -> None:
    end = ending(JOB, DONE)
    assert (end.status, end.attempt, end.output_text, end.finish_reason) == (
        JobStatus.COMPLETED,
        2,
        " b",
        "stop",
    )
    assert (end.prompt_tokens, end.cached_tokens, end.completion_tokens) == (2, 1, 2)


@pytest.mark.parametrize("status", [OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED])
def test_job_cut_short_is_billed_for_the_tokens_handed_over(status: OutcomeStatus) -> None:
    end = ending(JOB, replace(DONE, status=status, finish_reason=None))
    assert (end.status.value, end.output_text, end.completion_tokens) == (status.value, " b", 2)


@pytest.mark.parametrize("status", [OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED])
def test_job_cut_short_before_its_first_token_is_not_billed(status: OutcomeStatus) -> None:
    end = ending(JOB, Outcome(status, (), "", Usage(2, 0, 0)))
    assert (end.prompt_tokens, end.completion_tokens, end.output_text) == (0, 0, None)
    assert end.error_code == ("job_expired" if status is OutcomeStatus.EXPIRED else None)


def test_failure_is_ours_and_not_billed() -> None:
    end = ending(JOB, replace(DONE, status=OutcomeStatus.FAILED, error="secret prompt text"))
    assert (end.status, end.error_code, end.prompt_tokens) == (JobStatus.FAILED, "engine_error", 0)
    assert "secret" not in (end.error_message or "")

from dataclasses import replace
from time import monotonic

import pytest

from inference.request import (
    FinishReason,
    Outcome,
    OutcomeStatus,
    Progress,
    SamplingParams,
    TokenLogprob,
    Usage,
)
from tasks.generation import ending, engine_requests, progress_so_far, saved_tokens
from tasks.jobs import ClaimedJob
from tasks.models import JobStatus
from tasks.result import Choice
from tasks.sampling import Sampling

PARAMS = SamplingParams(max_tokens=9, seed=7, stop=("\n",))
JOB = ClaimedJob(
    id="job_1",
    attempt=2,
    type="completion",
    rank=1,
    request={"type": "completion", "prompt": "a", "stop": "\n"},
    prompts=((1, 2),),
    sampling=Sampling(PARAMS),
    deadline_in_seconds=30.0,
    saved=(Choice(text=" a", token_ids=(5,)),),
)
USAGE = Usage(2, 1, 2)
DONE = Outcome(OutcomeStatus.COMPLETED, (5, 6), " b", USAGE, FinishReason.STOP)
FIRST, SECOND = TokenLogprob(5, -0.5, ((5, -0.5),)), TokenLogprob(6, -0.25)


def with_logprobs(**changes: int) -> ClaimedJob:
    sampling = Sampling(replace(PARAMS, logprobs=1), **changes)
    saved = (Choice(text=" a", token_ids=(5,), logprobs=(FIRST,)),) * sampling.n
    return replace(JOB, sampling=sampling, saved=saved)


def test_request_carries_what_was_admitted() -> None:
    (request,) = engine_requests(JOB)
    assert request.prompt_token_ids == (1, 2)
    assert request.params == PARAMS
    assert request.deadline_seconds == pytest.approx(monotonic() + 30, abs=1)


def test_each_prompt_is_sampled_by_a_seed_of_its_own_and_the_first_by_the_clients() -> None:
    several = replace(JOB, prompts=((1,), (1,), (2,)), sampling=Sampling(PARAMS, n=2, best_of=2))
    seeds = [request.params.seed for request in engine_requests(several)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 3


def test_a_better_tier_comes_first_in_the_engine_too() -> None:
    priorities = [engine_requests(replace(JOB, rank=rank))[0].priority for rank in (0, 1, 2)]
    assert priorities == sorted(priorities, reverse=True)


def test_completed_job_is_billed_for_its_usage() -> None:
    end = ending(JOB, [DONE], USAGE)
    assert (end.status, end.attempt, end.output_text, end.finish_reason) == (
        JobStatus.COMPLETED,
        2,
        " b",
        "stop",
    )
    assert (end.prompt_tokens, end.cached_tokens, end.completion_tokens) == (2, 1, 2)
    assert (end.output_token_ids, end.choices) == ((5, 6), None)


@pytest.mark.parametrize("status", [OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED])
def test_job_cut_short_is_billed_for_the_tokens_handed_over(status: OutcomeStatus) -> None:
    end = ending(JOB, [replace(DONE, status=status, finish_reason=None)], USAGE)
    assert (end.status.value, end.output_text, end.completion_tokens) == (status.value, " b", 2)


@pytest.mark.parametrize("status", [OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED])
def test_job_cut_short_before_its_first_token_is_not_billed(status: OutcomeStatus) -> None:
    nothing = Usage(2, 0, 0)
    end = ending(JOB, [Outcome(status, (), "", nothing)], nothing)
    assert (end.prompt_tokens, end.completion_tokens, end.output_text) == (0, 0, None)
    assert end.error_code == ("job_expired" if status is OutcomeStatus.EXPIRED else None)


def test_failure_is_ours_and_not_billed() -> None:
    end = ending(JOB, [replace(DONE, status=OutcomeStatus.FAILED, error="secret prompt text")], USAGE)
    assert (end.status, end.error_code, end.prompt_tokens) == (JobStatus.FAILED, "engine_error", 0)
    assert "secret" not in (end.error_message or "")


def test_one_failed_output_fails_the_job_whatever_became_of_the_others() -> None:
    several = with_logprobs(n=3, best_of=3)
    outcomes = [
        DONE,
        replace(DONE, status=OutcomeStatus.CANCELLED),
        replace(DONE, status=OutcomeStatus.FAILED),
    ]
    end = ending(several, outcomes, USAGE)
    assert (end.status, end.completion_tokens, end.choices) == (JobStatus.FAILED, 0, None)


def test_outputs_keep_the_log_probabilities_of_earlier_attempts() -> None:
    end = ending(with_logprobs(), [replace(DONE, logprobs=(SECOND,))], USAGE)
    assert end.output_token_ids is None
    assert end.choices == [
        {
            "text": " b",
            "token_ids": [5, 6],
            "finish_reason": "stop",
            "logprobs": [[5, -0.5, [[5, -0.5]]], [6, -0.25, []]],
        }
    ]


def test_checkpoint_has_a_log_probability_for_each_of_its_tokens() -> None:
    (saved,) = progress_so_far(with_logprobs(), [Progress((5, 6, 7), " b", (SECOND,))])
    assert saved.token_ids == (5, 6)
    assert saved.logprobs == (FIRST, SECOND)


def test_outputs_to_choose_the_best_of_begin_anew() -> None:
    assert saved_tokens(with_logprobs(n=2, best_of=2), 0) == [(5,), (5,)]
    assert saved_tokens(with_logprobs(n=1, best_of=2), 0) == []
    end = ending(with_logprobs(n=1, best_of=2), [replace(DONE, logprobs=(FIRST, SECOND))], USAGE)
    assert end.choices is not None
    assert len(end.choices[0]["logprobs"]) == 2


def test_job_that_runs_too_long_ends_with_generation_timeout_and_pays_for_what_it_was_given() -> None:
    limited = replace(JOB, timeout_seconds=10.0)
    (request,) = engine_requests(limited)
    assert request.deadline_seconds == pytest.approx(monotonic() + 10, abs=1)
    end = ending(limited, [replace(DONE, status=OutcomeStatus.EXPIRED, finish_reason=None)], USAGE)
    assert (end.status, end.error_code, end.completion_tokens) == (
        JobStatus.EXPIRED,
        "generation_timeout",
        2,
    )


def test_job_that_expires_before_it_runs_too_long_has_expired() -> None:
    limited = replace(JOB, timeout_seconds=60.0)
    (request,) = engine_requests(limited)
    assert request.deadline_seconds == pytest.approx(monotonic() + 30, abs=1)
    end = ending(limited, [replace(DONE, status=OutcomeStatus.EXPIRED, finish_reason=None)], USAGE)
    assert end.error_code == "job_expired"

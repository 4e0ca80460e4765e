"""Between a job's row and the engine: the requests it becomes and the ending its outcomes become. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from inference.choices import choice_seed
from inference.request import GenerationRequest, Outcome, OutcomeStatus, Progress, TokenLogprob, Usage
from tasks import stored_choices
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus
from tasks.result import Choice

_STATUS = {
    OutcomeStatus.COMPLETED: JobStatus.COMPLETED,
    OutcomeStatus.CANCELLED: JobStatus.CANCELLED,
    OutcomeStatus.EXPIRED: JobStatus.EXPIRED,
    OutcomeStatus.FAILED: JobStatus.FAILED,
}
# What is worst for one output is so for the job.
_WORST_FIRST = (
    OutcomeStatus.FAILED,
    OutcomeStatus.EXPIRED,
    OutcomeStatus.CANCELLED,
    OutcomeStatus.COMPLETED,
)


def engine_requests(job: ClaimedJob) -> list[GenerationRequest]:
    """The engine's request for each prompt; each draws its tokens by a seed of its own."""
    params, best_of = job.sampling.params, job.sampling.best_of
    deadline_seconds = monotonic() + job.time_left_seconds
    return [
        GenerationRequest(
            request_id=f"{job.id}/{place}",
            prompt_token_ids=prompt,
            params=replace(params, seed=choice_seed(params.seed, place * best_of)),
            priority=-job.rank,
            deadline_seconds=deadline_seconds,
        )
        for place, prompt in enumerate(job.prompts)
    ]


def saved_tokens(job: ClaimedJob, place: int) -> list[tuple[int, ...]]:
    """What earlier attempts generated for a prompt, for each of its outputs; [] to begin anew.

    The best of several are chosen by the log-probabilities of all their tokens, so those begin anew.
    """
    n = job.sampling.n
    if not job.saved or job.sampling.best_of > n:
        return []
    return [choice.token_ids for choice in job.saved[place * n : (place + 1) * n]]


def ending(job: ClaimedJob, outcomes: Sequence[Outcome], usage: Usage) -> Ending:
    """How the job ends. What was not handed over is not billed: a failure, or no token at all.

    ``outcomes`` are those of all outputs, ``usage`` counts those not chosen too.
    """
    statuses = {outcome.status for outcome in outcomes}
    status = next(one for one in _WORST_FIRST if one in statuses)
    if status is OutcomeStatus.FAILED:
        return failed(job, "engine_error", "The model failed on this request; nothing was charged.")
    end = Ending(job_id=job.id, attempt=job.attempt, status=_STATUS[status])
    if status is OutcomeStatus.EXPIRED:
        end = out_of_time(job)
    if status is not OutcomeStatus.COMPLETED and not usage.completion_tokens:
        return end
    choices = [_choice(job, index, outcome) for index, outcome in enumerate(outcomes)]
    return replace(
        end,
        output_text=stored_choices.stored_text(choices[0].text),
        output_token_ids=choices[0].token_ids if job.plain else None,
        finish_reason=choices[0].finish_reason,
        choices=None if job.plain else stored_choices.to_json(choices),
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
    )


def progress_so_far(job: ClaimedJob, progress: Sequence[Progress]) -> list[Choice]:
    """The outputs as a checkpoint keeps them: as many tokens as there are log-probabilities for."""
    choices = []
    for index, one in enumerate(progress):
        logprobs, token_ids = _all_logprobs(job, index, one.logprobs), one.token_ids
        if job.sampling.params.logprobs is not None:
            token_ids = token_ids[: len(logprobs)]
        choices.append(Choice(text=one.text, token_ids=token_ids, logprobs=logprobs))
    return choices


def out_of_time(job: ClaimedJob) -> Ending:
    """A job that was cut off while it ran."""
    if not job.times_out:
        return expired(job.id, job.attempt)
    message = f"The job ran for longer than the {job.timeout_seconds:g} s that it may."
    return expired(job.id, job.attempt, "generation_timeout", message)


def expired(
    job_id: str,
    attempt: int,
    code: str = "job_expired",
    message: str = "The job did not end before it expired.",
) -> Ending:
    """A job whose time is up."""
    return Ending(
        job_id=job_id, attempt=attempt, status=JobStatus.EXPIRED, error_code=code, error_message=message
    )


def failed(job: ClaimedJob, code: str, message: str) -> Ending:
    """A failure of ours: no output, no bill."""
    return Ending(
        job_id=job.id, attempt=job.attempt, status=JobStatus.FAILED, error_code=code, error_message=message
    )


def _choice(job: ClaimedJob, index: int, outcome: Outcome) -> Choice:
    return Choice(
        text=outcome.text,
        token_ids=outcome.token_ids,
        finish_reason=None if outcome.finish_reason is None else outcome.finish_reason.value,
        logprobs=_all_logprobs(job, index, outcome.logprobs),
        prompt_logprobs=outcome.prompt_logprobs,
    )


def _all_logprobs(
    job: ClaimedJob, index: int, of_this_attempt: tuple[TokenLogprob, ...]
) -> tuple[TokenLogprob, ...]:
    if job.sampling.params.logprobs is None:
        return ()
    resumed = job.saved if job.sampling.best_of == job.sampling.n else ()
    return (*(resumed[index].logprobs if resumed else ()), *of_this_attempt)

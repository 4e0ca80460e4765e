"""Between a job's row and the engine: the request it becomes and the ending its outcome becomes. Pure."""

from dataclasses import replace
from time import monotonic

from inference.request import GenerationRequest, Outcome, OutcomeStatus, SamplingParams
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus

_STATUS = {
    OutcomeStatus.COMPLETED: JobStatus.COMPLETED,
    OutcomeStatus.CANCELLED: JobStatus.CANCELLED,
    OutcomeStatus.EXPIRED: JobStatus.EXPIRED,
    OutcomeStatus.FAILED: JobStatus.FAILED,
}


def engine_request(job: ClaimedJob) -> GenerationRequest:
    """The engine's request; what the client left out has the same default as in its request model."""
    stop = job.request.get("stop") or ()
    return GenerationRequest(
        request_id=job.id,
        prompt_token_ids=tuple(job.prompt_token_ids),
        params=SamplingParams(
            max_tokens=job.max_tokens,
            temperature=job.request.get("temperature", 1.0),
            top_p=job.request.get("top_p", 1.0),
            seed=job.seed,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        ),
        generated_token_ids=job.generated_token_ids,
        deadline_seconds=monotonic() + job.deadline_in_seconds,
    )


def ending(job: ClaimedJob, outcome: Outcome) -> Ending:
    """How the job ends. What was not handed over is not billed: a failure, or no token at all."""
    if outcome.status is OutcomeStatus.FAILED:
        return failed(job, "engine_error", "The model failed on this request; nothing was charged.")
    end = Ending(job_id=job.id, attempt=job.attempt, status=_STATUS[outcome.status])
    if outcome.status is OutcomeStatus.EXPIRED:
        end = expired(job.id, job.attempt)
    if end.status is not JobStatus.COMPLETED and not outcome.token_ids:
        return end
    return replace(
        end,
        output_text=outcome.text.replace("\x00", "\ufffd"),
        output_token_ids=outcome.token_ids,
        finish_reason=None if outcome.finish_reason is None else outcome.finish_reason.value,
        prompt_tokens=outcome.usage.prompt_tokens,
        cached_tokens=outcome.usage.cached_tokens,
        completion_tokens=outcome.usage.completion_tokens,
    )


def expired(job_id: str, attempt: int) -> Ending:
    """A job whose time is up."""
    return Ending(
        job_id=job_id,
        attempt=attempt,
        status=JobStatus.EXPIRED,
        error_code="job_expired",
        error_message="The job did not end before it expired.",
    )


def failed(job: ClaimedJob, code: str, message: str) -> Ending:
    """A failure of ours: no output, no bill."""
    return Ending(
        job_id=job.id, attempt=job.attempt, status=JobStatus.FAILED, error_code=code, error_message=message
    )

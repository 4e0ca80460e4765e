"""Submitting a job for the request that is being served, with what its answer says of limits."""

from flask import Response, after_this_request
from structlog.contextvars import bind_contextvars

from tasks import admission, retry_after
from tasks.admission import Submission
from tasks.errors import RateLimitReached, TooManyJobs
from tasks.plan import JobPlan
from web import auth, bodies
from web.limits import standing
from web.requests import request_id


def submit(plan: JobPlan, **known: str) -> Submission:
    """``known`` is the job's id, or who wants its tokens, where that is known before.

    Raises what admitting a job raises, and InvalidRequest for an unfit idempotency key.
    """
    try:
        submission = admission.submit(
            auth.principal(),
            plan,
            idempotency_key=bodies.idempotency_key(),
            request_id=request_id(),
            **known,
        )
    except RateLimitReached as refusal:
        standing.note(refusal.standings)
        raise
    except TooManyJobs:
        _tell_when_some_have_ended(plan)
        raise
    bind_contextvars(job_id=submission.job.id)
    standing.note(submission.standings)
    return submission


def _tell_when_some_have_ended(plan: JobPlan) -> None:
    @after_this_request
    def add_header(response: Response) -> Response:
        response.headers["Retry-After"] = str(retry_after.seconds(plan.spec.name, plan.service_tier))
        return response

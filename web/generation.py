"""Answers that wait for their job, and answers that stream it: what every generating endpoint is made of."""

import threading
from contextlib import ExitStack
from time import monotonic

import structlog
from flask import Response, after_this_request, current_app, request

from tasks import cancellation, job_results, waiting
from tasks.admission import Submission
from tasks.backoff import Backoff
from tasks.errors import ClientGone, DatabaseUnavailable, TokenmillError
from tasks.ids import new_id
from tasks.job import JobRecord
from tasks.outcome import answered
from tasks.plan import JobPlan
from tasks.result import JobResult
from tasks.settings import settings
from tasks.wire.chunks import Renderer
from web import bodies, disconnects, metrics, sse, submissions
from web.disconnects import Client
from web.event_stream import EventStream, open_events
from web.longpoll import LongPolls
from web.requests import request_id

log = structlog.get_logger(__name__)


def answer(plan: JobPlan) -> JobResult:
    """Run a job while its client waits: completed, or cut short with some output.

    The job of a client that goes away is cancelled, unless it can be read later or the client has an
    idempotency key to come back with.

    Raises:
        JobStillRunning: it takes too long, or the server is stopping; the job goes on.
        JobFailed, JobExpired, JobCancelled: it came to nothing.
        ServerBusy, and what submitting raises: there is no job.
    """
    woken = threading.Event()
    with _polls().place(woken.set), disconnects.watched(request.environ, woken.set) as client:
        job = _wait(_submit(plan).job, woken, client)
    if client.gone and not job.status.ended:
        if _ends_with_its_client(plan):
            _cancel(job)
        raise ClientGone
    return answered(job_results.get_result(job.project_id, job.id))


def accept(plan: JobPlan) -> Submission:
    """Begin a job that its client will read later. Raises what submitting raises."""
    return _submit(plan)


def stream(plan: JobPlan, renderer: Renderer) -> Response:
    """Run a job and send its events as they come; a client that goes away is treated as by ``answer``.

    Raises ServerBusy, and what submitting raises.
    """
    job_id = new_id("job")
    with ExitStack() as stack:
        events = stack.enter_context(open_events(job_id, _polls()))
        submission = _submit(plan, job_id=job_id, stream_to=events.followed.address)
        if not submission.replayed:
            events.on_first_token = metrics.first_token(plan.spec.name)
            if _ends_with_its_client(plan):
                events.on_gone = lambda: _cancel(submission.job)
            first = events.followed.begin(submission.job.project_id)
            return _response(stack, events, first, renderer, after=0)
    return resume(submission.job.project_id, submission.job.id, renderer, after=0)


def resume(project_id: str, job_id: str, renderer: Renderer, *, after: int) -> Response:
    """Send the events of a job, whatever its state, but for the first ``after`` of them.

    Raises JobNotFound, ServerBusy.
    """
    with ExitStack() as stack:
        events = stack.enter_context(open_events(job_id, _polls()))
        first = events.followed.begin(project_id)
        _tell(job_id)
        if not first.job.status.ended:
            events.followed.listen()
        return _response(stack, events, first, renderer, after)


def _response(
    stack: ExitStack, events: EventStream, first: JobResult, renderer: Renderer, after: int
) -> Response:
    stack.enter_context(metrics.open_stream())
    response = sse.response(events.frames(first, renderer, after, request_id()), request.environ)
    # From here on the server closes what the stack holds, when the client has had everything or is gone.
    response.call_on_close(stack.pop_all().close)
    return response


def _polls() -> LongPolls:
    polls: LongPolls = current_app.extensions["long_polls"]
    return polls


def _submit(plan: JobPlan, **known: str) -> Submission:
    submission = submissions.submit(plan, **known)
    _tell(submission.job.id, submission.replayed)
    return submission


def _tell(job_id: str, replayed: bool = False) -> None:
    """Headers of the answer, whatever it will be."""

    @after_this_request
    def add_headers(response: Response) -> Response:
        response.headers["x-tokenmill-job-id"] = job_id
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response


def _wait(job: JobRecord, woken: threading.Event, client: Client) -> JobRecord:
    polls = _polls()
    backoff = Backoff()
    until = monotonic() + settings().sync_timeout_seconds
    while (left := until - monotonic()) > 0:
        try:
            return waiting.wait_for_end(
                job.project_id,
                job.id,
                left,
                woken=woken,
                leaves=lambda: client.gone or polls.stopping,
            )
        except DatabaseUnavailable:
            # The job is durable: a client that were told to try again would start another.
            woken.wait(min(left, backoff.next_seconds()))
    return job


def _ends_with_its_client(plan: JobPlan) -> bool:
    return not plan.stored and bodies.idempotency_key() is None


def _cancel(job: JobRecord) -> None:
    """Free what a job takes up that nobody will read."""
    try:
        cancellation.cancel_job(job.project_id, job.id)
    except TokenmillError as error:
        # It has just ended, or the database is away and it runs to its end.
        log.info("not cancelled", action="cancel_missed", job_id=job.id, error=error.code)
    else:
        log.info("client gone, job cancelled", action="client_gone", job_id=job.id)

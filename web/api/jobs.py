"""`/v1/jobs`: submit, read, list and cancel jobs."""

from hashlib import sha256

from flask import Blueprint, Response, current_app, request, url_for

from tasks import cancellation, job_queries, job_results, retry_after
from tasks.endpoints import AnyBody, body_of
from tasks.job import JobRecord
from tasks.outcome import answered
from tasks.plan import ServiceTier
from tasks.wire.job import JOB_REQUEST, JobBody, JobListBody, job_body
from tasks.wire.job_plan import job_plan
from web import auth, bodies, queries, submissions
from web.longpoll import LongPolls
from web.openapi import IDEMPOTENCY_KEY, Header, Operation, Reply, documented

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@blueprint.post("")
@documented(
    Operation(
        tag="Jobs",
        summary="Submit a job",
        description="The job is durable once this is answered; read it, or wait for it, at `Location`.",
        body=JOB_REQUEST,
        headers=(IDEMPOTENCY_KEY,),
        replies={
            202: Reply("The job was accepted.", JobBody, headers=("Location",)),
            200: Reply(
                "An earlier request with this key made the job.",
                JobBody,
                headers=("Location", "Idempotent-Replayed"),
            ),
        },
        refusals=(400, 404, 409, 413, 415, 429, 503),
    )
)
def submit() -> Response:
    # The key is looked at before a long prompt is tokenized in vain.
    job_request, _ = bodies.read(JOB_REQUEST, tagged_by="type"), bodies.idempotency_key()
    submission = submissions.submit(job_plan(job_request))
    response = _render(submission.job, 200 if submission.replayed else 202)
    response.headers["Location"] = url_for("jobs.read", job_id=submission.job.id)
    if submission.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@blueprint.get("/<id:job_id>")
@documented(
    Operation(
        tag="Jobs",
        summary="Read a job",
        query=queries.JobQuery,
        headers=(Header("If-None-Match", "An `ETag` seen before: 304 while the job is still the same."),),
        replies={
            200: Reply("The job.", JobBody, headers=("ETag", "Retry-After")),
            304: Reply("The job has not changed.", headers=("ETag",)),
        },
        refusals=(400, 404, 429, 503),
    )
)
def read(job_id: str) -> Response:
    wait_seconds = queries.read(queries.JobQuery).wait
    polls: LongPolls = current_app.extensions["long_polls"]
    job = polls.job(auth.principal().project_id, job_id, wait_seconds)
    response = _render(job)
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(sha256(response.get_data()).hexdigest()[:32])
    if not job.status.ended:
        response.headers["Retry-After"] = str(retry_after.seconds(job.model, ServiceTier(job.service_tier)))
    response.make_conditional(request.environ)
    return response


@blueprint.get("/<id:job_id>/result")
@documented(
    Operation(
        tag="Jobs",
        summary="Read a job's answer",
        description="What its endpoint answered, or would have, had its client waited: a chat completion for "
        "a chat, vectors for an embedding. A failed job answers with its error.",
        query=queries.JobQuery,
        replies={200: Reply("The answer, in the form of the job's endpoint.", AnyBody)},
        refusals=(400, 404, 409, 429, 500, 503, 504),
    )
)
def result(job_id: str) -> Response:
    project_id = auth.principal().project_id
    wait_seconds = queries.read(queries.JobQuery).wait
    polls: LongPolls = current_app.extensions["long_polls"]
    polls.job(project_id, job_id, wait_seconds)
    body = body_of(answered(job_results.get_result(project_id, job_id)))
    return Response(body.model_dump_json(by_alias=True), mimetype="application/json")


@blueprint.get("")
@documented(
    Operation(
        tag="Jobs",
        summary="List jobs",
        description="Newest first; `after` takes the `last_id` of a page to the next one.",
        query=queries.JobListQuery,
        replies={200: Reply("A page of jobs.", JobListBody)},
        refusals=(400, 429, 503),
    )
)
def index() -> Response:
    wanted = queries.read(queries.JobListQuery).job_filter(auth.principal().sees_jobs_of)
    page = job_queries.list_jobs(auth.principal().project_id, wanted)
    ids = [job.id for job in page.items]
    body = JobListBody(
        data=[job_body(job) for job in page.items],
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=page.has_more,
    )
    return Response(body.model_dump_json(), mimetype="application/json")


@blueprint.post("/<id:job_id>/cancel")
@documented(
    Operation(
        tag="Jobs",
        summary="Cancel a job",
        description="A queued job ends at once, a running one at its next token. The text so far and its "
        "usage stay readable, and are what is charged.",
        replies={200: Reply("The job, cancelled or about to be.", JobBody)},
        refusals=(404, 409, 429, 503),
    )
)
def cancel(job_id: str) -> Response:
    return _render(cancellation.cancel_job(auth.principal().project_id, job_id))


def _render(job: JobRecord, status: int = 200) -> Response:
    return Response(job_body(job).model_dump_json(), status, mimetype="application/json")

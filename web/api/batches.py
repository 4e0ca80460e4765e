"""`/v1/batches`: run the lines of a file, and see what has come of them."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import batch_estimate, batches
from tasks.wire.batch import BATCH_REQUEST, BatchBody, BatchListBody, batch_body, batch_list_body
from tasks.wire.batch_estimate import ESTIMATE_REQUEST, EstimateBody, estimate_body
from web import auth, bodies, queries
from web.batch_queries import BatchListQuery
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("batches", __name__, url_prefix="/v1/batches")


@blueprint.post("")
@documented(
    Operation(
        tag="Batches",
        summary="Run the lines of a file",
        description="The file is validated first: `status` tells when it runs, `errors` why it does not. "
        "Lines run whenever nothing more urgent does, at the price of batches. Fields marked as ours are "
        "not part of the OpenAI API.",
        body=BATCH_REQUEST,
        replies={200: Reply("The batch.", BatchBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def create() -> Response:
    wanted = bodies.read(BATCH_REQUEST)
    return _json(batch_body(batches.create_batch(auth.principal(), wanted.plan())))


@blueprint.post("/estimate")
@documented(
    Operation(
        tag="Batches",
        summary="Say what a batch would take and cost (ours)",
        description="Not part of the OpenAI API. Validates the file as a batch would, counts its tokens, and "
        "creates nothing. A large file takes as long as its validation.",
        body=ESTIMATE_REQUEST,
        replies={200: Reply("The estimate.", EstimateBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def estimate() -> Response:
    wanted = bodies.read(ESTIMATE_REQUEST)
    return _json(estimate_body(batch_estimate.estimate(auth.principal(), wanted.plan())))


@blueprint.get("")
@documented(
    Operation(
        tag="Batches",
        summary="List batches",
        description="Newest first; `after` takes the `last_id` of a page to the next one.",
        query=BatchListQuery,
        replies={200: Reply("A page of batches.", BatchListBody)},
        refusals=(400, 429, 503),
    )
)
def index() -> Response:
    wanted = queries.read(BatchListQuery)
    page = batches.list_batches(auth.principal().project_id, wanted.after, wanted.limit)
    return _json(batch_list_body(page.items, has_more=page.has_more))


@blueprint.get("/<id:batch_id>")
@documented(
    Operation(
        tag="Batches",
        summary="Read a batch",
        description="Its output file can be read while it runs, and after it was cancelled or has expired.",
        replies={200: Reply("The batch.", BatchBody)},
        refusals=(404, 429, 503),
    )
)
def read(batch_id: str) -> Response:
    return _json(batch_body(batches.get_batch(auth.principal().project_id, batch_id)))


@blueprint.post("/<id:batch_id>/cancel")
@documented(
    Operation(
        tag="Batches",
        summary="Cancel a batch",
        description="What runs stops at its next step. Lines that have finished stay readable and charged; "
        "the others cost nothing. Cancelling twice is fine.",
        replies={200: Reply("The batch, `cancelling` or `cancelled`.", BatchBody)},
        refusals=(404, 409, 429, 503),
    )
)
def cancel(batch_id: str) -> Response:
    return _json(batch_body(batches.cancel_batch(auth.principal().project_id, batch_id)))


@blueprint.post("/<id:batch_id>/retry")
@documented(
    Operation(
        tag="Batches",
        summary="Run the unanswered lines of a batch again (ours)",
        description="Not part of the OpenAI API. The lines of an ended batch that failed, expired or were "
        "cancelled become a new batch on the same terms, with `retry_of` naming the old one.",
        replies={200: Reply("The new batch.", BatchBody)},
        refusals=(404, 409, 429, 503),
    )
)
def retry(batch_id: str) -> Response:
    return _json(batch_body(batches.retry_batch(auth.principal(), batch_id)))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

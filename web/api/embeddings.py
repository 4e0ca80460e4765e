"""`/v1/embeddings`: make vectors of texts."""

from flask import Blueprint, Response

from tasks.wire.embeddings import EMBEDDING_REQUEST, EmbeddingListBody, embedding_body, embedding_plan
from web import bodies, generation
from web.openapi import ANSWER_HEADERS, IDEMPOTENCY_KEY, Operation, Reply, documented

blueprint = Blueprint("embeddings", __name__, url_prefix="/v1/embeddings")


@blueprint.post("")
@documented(
    Operation(
        tag="Embeddings",
        summary="Make vectors of texts",
        body=EMBEDDING_REQUEST,
        headers=(IDEMPOTENCY_KEY,),
        replies={200: Reply("A vector for each input.", EmbeddingListBody, ANSWER_HEADERS)},
        refusals=(400, 404, 409, 413, 415, 429, 503, 504),
    )
)
def create() -> Response:
    plan = embedding_plan(bodies.read(EMBEDDING_REQUEST))
    body = embedding_body(generation.answer(plan))
    return Response(body.model_dump_json(), mimetype="application/json")

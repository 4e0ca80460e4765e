"""`/v1/completions`: continue texts."""

from flask import Blueprint, Response

from tasks.planning import renderer_of
from tasks.wire.completion_body import CompletionBody, CompletionChunk
from tasks.wire.completion_chunks import CompletionChunks
from tasks.wire.completion_request import COMPLETION_REQUEST
from tasks.wire.completions import completion_body, completion_plan
from web import bodies, generation
from web.openapi import ANSWER_HEADERS, IDEMPOTENCY_KEY, Events, Operation, Reply, documented

blueprint = Blueprint("completions", __name__, url_prefix="/v1/completions")


@blueprint.post("")
@documented(
    Operation(
        tag="Completions",
        summary="Continue texts",
        description="Waits for the texts, or with `stream` sends them as they come. A client that goes away "
        "ends the request.",
        body=COMPLETION_REQUEST,
        headers=(IDEMPOTENCY_KEY,),
        replies={200: Reply("The texts.", CompletionBody, ANSWER_HEADERS, events=Events(CompletionChunk))},
        refusals=(400, 404, 409, 413, 415, 429, 503, 504),
    )
)
def create() -> Response:
    request = bodies.read(COMPLETION_REQUEST)
    plan = completion_plan(request)
    if request.stream:
        return generation.stream(plan, CompletionChunks(request, renderer_of(plan.spec)))
    body = completion_body(generation.answer(plan))
    return Response(body.model_dump_json(), mimetype="application/json")

"""`/v1/responses`: make, read, resume, cancel and delete responses."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import responses
from tasks.response_access import check_access
from tasks.response_turns import reader_of
from tasks.result import JobResult
from tasks.wire.response_body import InputTokensBody, ResponseBody, ResponseDeleted, response_body
from tasks.wire.response_events import ResponseEvents
from tasks.wire.responses import INPUT_TOKENS_REQUEST, RESPONSE_REQUEST
from tasks.wire.shown_items import ItemListBody
from web import auth, bodies, generation, queries
from web.item_queries import ItemListQuery, ResponseQuery
from web.openapi import ANSWER_HEADERS, IDEMPOTENCY_KEY, Events, Operation, Reply, documented

blueprint = Blueprint("responses", __name__, url_prefix="/v1/responses")


@blueprint.post("")
@documented(
    Operation(
        tag="Responses",
        summary="Make a response",
        description="Waits for it, or with `stream` sends its events as they come. With `background` the "
        "answer comes at once: read the response, or its events, under its id.",
        body=RESPONSE_REQUEST,
        headers=(IDEMPOTENCY_KEY,),
        replies={200: Reply("The response.", ResponseBody, ANSWER_HEADERS, events=Events())},
        refusals=(400, 404, 409, 413, 415, 429, 503, 504),
    )
)
def create() -> Response:
    wanted = bodies.read(RESPONSE_REQUEST)
    check_access(auth.principal(), wanted)
    plan = responses.plan(auth.principal().project_id, wanted)
    if wanted.stream:
        return generation.stream(plan, ResponseEvents(reader_of(plan.spec.name, plan.request)))
    if wanted.background:
        return _render(responses.accepted(generation.accept(plan), plan))
    return _render(generation.answer(plan))


@blueprint.post("/input_tokens")
@documented(
    Operation(
        tag="Responses",
        summary="Count the tokens of an input",
        body=INPUT_TOKENS_REQUEST,
        replies={200: Reply("Their number.", InputTokensBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def count() -> Response:
    wanted = bodies.read(INPUT_TOKENS_REQUEST)
    check_access(auth.principal(), wanted)
    tokens = responses.input_tokens(auth.principal().project_id, wanted)
    return _json(InputTokensBody(input_tokens=tokens))


@blueprint.get("/<id:response_id>")
@documented(
    Operation(
        tag="Responses",
        summary="Read a response",
        description="With `stream` its events, from the first on or behind `starting_after`.",
        query=ResponseQuery,
        replies={200: Reply("The response.", ResponseBody, events=Events())},
        refusals=(400, 404, 429, 503),
    )
)
def read(response_id: str) -> Response:
    wanted = queries.read(ResponseQuery)
    seen = wanted.seen
    found = responses.get(auth.principal().project_id, response_id)
    if not wanted.stream:
        return _render(found)
    events = ResponseEvents(reader_of(found.job.model, found.request))
    return generation.resume(auth.principal().project_id, found.job.id, events, after=seen)


@blueprint.post("/<id:response_id>/cancel")
@documented(
    Operation(
        tag="Responses",
        summary="Cancel a response",
        description="Only one in the background; one that has ended stays as it is.",
        replies={200: Reply("The response, cancelled or about to be.", ResponseBody)},
        refusals=(400, 404, 429, 503),
    )
)
def cancel(response_id: str) -> Response:
    return _render(responses.cancel(auth.principal().project_id, response_id))


@blueprint.delete("/<id:response_id>")
@documented(
    Operation(
        tag="Responses",
        summary="Delete a response",
        replies={200: Reply("It is gone.", ResponseDeleted)},
        refusals=(404, 429, 503),
    )
)
def delete(response_id: str) -> Response:
    responses.delete(auth.principal().project_id, response_id)
    return _json(ResponseDeleted(id=response_id))


@blueprint.get("/<id:response_id>/input_items")
@documented(
    Operation(
        tag="Responses",
        summary="List a response's input",
        query=ItemListQuery,
        replies={200: Reply("A page of items.", ItemListBody)},
        refusals=(400, 404, 429, 503),
    )
)
def input_items(response_id: str) -> Response:
    wanted = queries.read(ItemListQuery).item_filter()
    return _json(responses.list_input_items(auth.principal().project_id, response_id, wanted))


def _render(result: JobResult) -> Response:
    return _json(response_body(result, reader_of(result.job.model, result.request)))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(by_alias=True), mimetype="application/json")

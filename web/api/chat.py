"""`/v1/chat/completions`: answer conversations, and keep those that are stored."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import stored_chats
from tasks.errors import InvalidRequest
from tasks.planning import renderer_of
from tasks.wire.chat_body import ChatChunk, ChatCompletionBody
from tasks.wire.chat_chunks import ChatChunks
from tasks.wire.chat_completions import chat_body, chat_plan
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tasks.wire.stored_chats import (
    METADATA_UPDATE,
    ChatCompletionDeleted,
    ChatCompletionListBody,
    StoredMessageListBody,
    chat_list_body,
    message_list_body,
    stored_messages,
)
from web import auth, bodies, generation, queries
from web.openapi import ANSWER_HEADERS, IDEMPOTENCY_KEY, Events, Operation, Reply, documented
from web.stored_chat_queries import ChatListQuery, MessageListQuery

blueprint = Blueprint("chat", __name__, url_prefix="/v1/chat/completions")


@blueprint.post("")
@documented(
    Operation(
        tag="Chat",
        summary="Answer a conversation",
        description="Waits for the answer, or with `stream` sends it as it comes. A client that goes away "
        "ends the request, unless `store` is set.",
        body=CHAT_COMPLETION_REQUEST,
        headers=(IDEMPOTENCY_KEY,),
        replies={200: Reply("The answer.", ChatCompletionBody, ANSWER_HEADERS, events=Events(ChatChunk))},
        refusals=(400, 404, 409, 413, 415, 429, 503, 504),
    )
)
def create() -> Response:
    request = bodies.read(CHAT_COMPLETION_REQUEST)
    plan = chat_plan(request)
    if request.stream:
        return generation.stream(plan, ChatChunks(request, renderer_of(plan.spec)))
    return _render(chat_body(generation.answer(plan)))


@blueprint.get("")
@documented(
    Operation(
        tag="Chat",
        summary="List stored chats",
        query=ChatListQuery,
        replies={200: Reply("A page of them.", ChatCompletionListBody)},
        refusals=(400, 429, 503),
    )
)
def index() -> Response:
    wanted = queries.read(ChatListQuery).job_filter()
    page = stored_chats.list_chats(auth.principal().project_id, wanted)
    return _render(chat_list_body(page.items, has_more=page.has_more))


@blueprint.get("/<id:completion_id>")
@documented(
    Operation(
        tag="Chat",
        summary="Read a stored chat",
        replies={200: Reply("The answer.", ChatCompletionBody)},
        refusals=(404, 429, 503),
    )
)
def read(completion_id: str) -> Response:
    return _render(chat_body(stored_chats.get_chat(auth.principal().project_id, completion_id)))


@blueprint.post("/<id:completion_id>")
@documented(
    Operation(
        tag="Chat",
        summary="Change a stored chat's metadata",
        body=METADATA_UPDATE,
        replies={200: Reply("The answer with its new metadata.", ChatCompletionBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def update(completion_id: str) -> Response:
    metadata = bodies.read(METADATA_UPDATE).metadata or {}
    return _render(
        chat_body(stored_chats.set_chat_metadata(auth.principal().project_id, completion_id, metadata))
    )


@blueprint.delete("/<id:completion_id>")
@documented(
    Operation(
        tag="Chat",
        summary="Delete a stored chat",
        replies={200: Reply("It is gone.", ChatCompletionDeleted)},
        refusals=(404, 429, 503),
    )
)
def delete(completion_id: str) -> Response:
    stored_chats.delete_chat(auth.principal().project_id, completion_id)
    return _render(ChatCompletionDeleted(id=completion_id))


@blueprint.get("/<id:completion_id>/messages")
@documented(
    Operation(
        tag="Chat",
        summary="List the messages that a stored chat answered",
        query=MessageListQuery,
        replies={200: Reply("A page of messages.", StoredMessageListBody)},
        refusals=(400, 404, 429, 503),
    )
)
def messages(completion_id: str) -> Response:
    wanted = queries.read(MessageListQuery)
    found = stored_messages(stored_chats.get_chat(auth.principal().project_id, completion_id))
    page = message_list_body(found, after=wanted.after, limit=wanted.limit, order=wanted.order)
    if page is None:
        raise InvalidRequest(f"after names no message: {wanted.after!r}.", param="after")
    return _render(page)


def _render(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

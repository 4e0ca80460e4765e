"""`/v1/conversations`: items that responses go on from, and add to."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import conversation_items, conversations
from tasks.response_context import kept_input
from tasks.wire.conversations import (
    CONVERSATION_REQUEST,
    CONVERSATION_UPDATE,
    NEW_ITEMS,
    ConversationBody,
    ConversationDeleted,
    conversation_body,
)
from tasks.wire.shown_items import ItemBody, ItemListBody
from web import auth, bodies, queries
from web.item_queries import IncludeQuery, ItemListQuery
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("conversations", __name__, url_prefix="/v1/conversations")


@blueprint.post("")
@documented(
    Operation(
        tag="Conversations",
        summary="Create a conversation",
        body=CONVERSATION_REQUEST,
        replies={200: Reply("The conversation.", ConversationBody)},
        refusals=(400, 413, 415, 429, 503),
    )
)
def create() -> Response:
    wanted = bodies.read(CONVERSATION_REQUEST)
    project_id = auth.principal().project_id
    items = kept_input(project_id, wanted.items or [], "items")
    made = conversation_items.create_conversation(project_id, wanted.metadata or {}, items)
    return _json(conversation_body(made))


@blueprint.get("/<id:conversation_id>")
@documented(
    Operation(
        tag="Conversations",
        summary="Read a conversation",
        replies={200: Reply("The conversation.", ConversationBody)},
        refusals=(404, 429, 503),
    )
)
def read(conversation_id: str) -> Response:
    return _json(conversation_body(conversations.get(auth.principal().project_id, conversation_id)))


@blueprint.post("/<id:conversation_id>")
@documented(
    Operation(
        tag="Conversations",
        summary="Change a conversation's metadata",
        body=CONVERSATION_UPDATE,
        replies={200: Reply("The conversation.", ConversationBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def update(conversation_id: str) -> Response:
    metadata = bodies.read(CONVERSATION_UPDATE).metadata or {}
    changed = conversations.set_metadata(auth.principal().project_id, conversation_id, metadata)
    return _json(conversation_body(changed))


@blueprint.delete("/<id:conversation_id>")
@documented(
    Operation(
        tag="Conversations",
        summary="Delete a conversation",
        description="Its responses stay.",
        replies={200: Reply("It is gone.", ConversationDeleted)},
        refusals=(404, 429, 503),
    )
)
def delete(conversation_id: str) -> Response:
    conversations.delete_conversation(auth.principal().project_id, conversation_id)
    return _json(ConversationDeleted(id=conversation_id))


@blueprint.get("/<id:conversation_id>/items")
@documented(
    Operation(
        tag="Conversations",
        summary="List a conversation's items",
        description="Those of a response are there once it is completed.",
        query=ItemListQuery,
        replies={200: Reply("A page of items.", ItemListBody)},
        refusals=(400, 404, 429, 503),
    )
)
def index(conversation_id: str) -> Response:
    wanted = queries.read(ItemListQuery).item_filter()
    return _json(conversation_items.list_items(auth.principal().project_id, conversation_id, wanted))


@blueprint.post("/<id:conversation_id>/items")
@documented(
    Operation(
        tag="Conversations",
        summary="Add items to a conversation",
        body=NEW_ITEMS,
        query=IncludeQuery,
        replies={200: Reply("The items, under their ids.", ItemListBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def add(conversation_id: str) -> Response:
    queries.read(IncludeQuery)
    project_id = auth.principal().project_id
    items = kept_input(project_id, bodies.read(NEW_ITEMS).items, "items")
    return _json(conversation_items.add_items(project_id, conversation_id, items))


@blueprint.get("/<id:conversation_id>/items/<id:item_id>")
@documented(
    Operation(
        tag="Conversations",
        summary="Read an item",
        query=IncludeQuery,
        replies={200: Reply("The item.", ItemBody)},
        refusals=(400, 404, 429, 503),
    )
)
def read_item(conversation_id: str, item_id: str) -> Response:
    queries.read(IncludeQuery)
    return _json(conversation_items.get_item(auth.principal().project_id, conversation_id, item_id))


@blueprint.delete("/<id:conversation_id>/items/<id:item_id>")
@documented(
    Operation(
        tag="Conversations",
        summary="Remove an item from a conversation",
        replies={200: Reply("The conversation.", ConversationBody)},
        refusals=(404, 429, 503),
    )
)
def remove_item(conversation_id: str, item_id: str) -> Response:
    changed = conversation_items.remove_item(auth.principal().project_id, conversation_id, item_id)
    return _json(conversation_body(changed))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

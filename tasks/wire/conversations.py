"""The conversations API."""

from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.conversations import ConversationRecord
from tasks.wire.fields import Metadata, Strict
from tasks.wire.response_items import InputItem

MAX_ITEMS = 20


class ConversationRequest(Strict):
    """The body of `POST /v1/conversations`."""

    items: list[InputItem] | None = Field(None, max_length=MAX_ITEMS, description="The first items.")
    metadata: Metadata | None = None


class ConversationUpdate(Strict):
    """What of a conversation can be changed."""

    metadata: Metadata | None = Field(description="Replaces all pairs; `null` removes them.")


class NewItems(Strict):
    """Items to append."""

    items: list[InputItem] = Field(min_length=1, max_length=MAX_ITEMS)


class ConversationBody(BaseModel):
    """A conversation."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: dict[str, str]


class ConversationDeleted(BaseModel):
    """A conversation is no more."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True


CONVERSATION_REQUEST: TypeAdapter[ConversationRequest] = TypeAdapter(ConversationRequest)
CONVERSATION_UPDATE: TypeAdapter[ConversationUpdate] = TypeAdapter(ConversationUpdate)
NEW_ITEMS: TypeAdapter[NewItems] = TypeAdapter(NewItems)


def conversation_body(conversation: ConversationRecord) -> ConversationBody:
    return ConversationBody(
        id=conversation.id,
        created_at=int(conversation.created_at.timestamp()),
        metadata=conversation.metadata,
    )

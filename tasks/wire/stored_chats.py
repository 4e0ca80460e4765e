"""Chats that were stored: lists of them, their messages, their metadata, their end."""

from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.ids import CHAT_COMPLETION_PREFIX, shown_as
from tasks.result import JobResult
from tasks.wire.chat_body import ChatCompletionBody
from tasks.wire.chat_completions import chat_body
from tasks.wire.chat_messages import Message
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tasks.wire.fields import Metadata, Strict


class MetadataUpdate(Strict):
    """New metadata in place of the old; `null` is none."""

    metadata: Metadata | None


METADATA_UPDATE: TypeAdapter[MetadataUpdate] = TypeAdapter(MetadataUpdate)


class ChatCompletionListBody(BaseModel):
    """A page of stored chats."""

    object: Literal["list"] = "list"
    data: list[ChatCompletionBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ChatCompletionDeleted(BaseModel):
    """It is gone."""

    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: Literal[True] = True


class StoredMessage(BaseModel):
    """A message that a chat began with. Content that came in parts is in `content_parts`."""

    id: str
    role: str
    content: str | None
    content_parts: list[dict[str, Any]] | None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    tool_call_id: str | None = None


class StoredMessageListBody(BaseModel):
    """A page of messages."""

    object: Literal["list"] = "list"
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether another page follows.")


def chat_list_body(results: list[JobResult], *, has_more: bool) -> ChatCompletionListBody:
    """A page of them, in the order given."""
    data = [chat_body(result) for result in results]
    return ChatCompletionListBody(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=has_more,
    )


def stored_messages(result: JobResult) -> list[StoredMessage]:
    """The messages of the request, oldest first."""
    request = CHAT_COMPLETION_REQUEST.validate_python(result.request)
    chat_id = shown_as(result.job.id, CHAT_COMPLETION_PREFIX)
    return [_stored(message, f"{chat_id}-{index}") for index, message in enumerate(request.messages)]


def message_list_body(
    messages: list[StoredMessage], *, after: str | None, limit: int, order: Literal["asc", "desc"]
) -> StoredMessageListBody | None:
    """A page of messages; None where ``after`` names none of them."""
    ordered = messages if order == "asc" else messages[::-1]
    ids = [message.id for message in ordered]
    if after is not None and after not in ids:
        return None
    start = 0 if after is None else ids.index(after) + 1
    page = ordered[start : start + limit]
    return StoredMessageListBody(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=start + limit < len(ordered),
    )


def _stored(message: Message, message_id: str) -> StoredMessage:
    shown = message.model_dump(mode="json", exclude_unset=True)
    content = shown.get("content")
    parts = content if isinstance(content, list) else None
    return StoredMessage(
        id=message_id,
        role=message.role,
        content=None if parts else content,
        content_parts=parts,
        refusal=shown.get("refusal"),
        name=shown.get("name"),
        tool_calls=shown.get("tool_calls"),
        function_call=shown.get("function_call"),
        tool_call_id=shown.get("tool_call_id"),
    )

"""Conversations: made, read, renamed and deleted by their project."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from tasks.db import transaction
from tasks.errors import ConversationNotFound
from tasks.ids import new_id
from tasks.models import Conversation


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation as its owner sees it, without its items."""

    id: str
    metadata: dict[str, str]
    created_at: datetime


_COLUMNS = (Conversation.id, Conversation.metadata_.label("metadata"), Conversation.created_at)


def create(connection: Connection, project_id: str, metadata: dict[str, str]) -> ConversationRecord:
    """Inside the caller's transaction: its first items come with it, or neither comes."""
    values = {"id": new_id("conv"), "project_id": project_id, "metadata_": metadata}
    row = connection.execute(insert(Conversation).values(values).returning(*_COLUMNS)).mappings().one()
    return ConversationRecord(**row)


def get(project_id: str, conversation_id: str) -> ConversationRecord:
    """Raises ConversationNotFound, also for another project's."""
    with transaction() as connection:
        return read(connection, project_id, conversation_id)


def read(connection: Connection, project_id: str, conversation_id: str) -> ConversationRecord:
    """Inside the caller's transaction. Raises ConversationNotFound."""
    query = select(*_COLUMNS).where(*_own(project_id, conversation_id))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _not_found(conversation_id)
    return ConversationRecord(**row)


def set_metadata(project_id: str, conversation_id: str, metadata: dict[str, str]) -> ConversationRecord:
    """Replace all pairs. Raises ConversationNotFound."""
    statement = update(Conversation).where(*_own(project_id, conversation_id)).values(metadata_=metadata)
    with transaction() as connection:
        row = connection.execute(statement.returning(*_COLUMNS)).mappings().first()
    if row is None:
        raise _not_found(conversation_id)
    return ConversationRecord(**row)


def delete_conversation(project_id: str, conversation_id: str) -> None:
    """With the items added to it; its responses stay. Raises ConversationNotFound."""
    with transaction() as connection:
        deleted = connection.execute(delete(Conversation).where(*_own(project_id, conversation_id)))
        if deleted.rowcount == 0:
            raise _not_found(conversation_id)


def _own(project_id: str, conversation_id: str) -> tuple[ColumnElement[bool], ...]:
    return Conversation.project_id == project_id, Conversation.id == conversation_id


def _not_found(conversation_id: str) -> ConversationNotFound:
    return ConversationNotFound(f"There is no conversation {conversation_id!r}.", param="conversation_id")

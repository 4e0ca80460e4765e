"""A conversation, and what was done to its items by hand.

The items of its responses are in no table: they are read from the responses' jobs, so that nothing has
to be written when a job ends. ``digits`` and ``number`` are an item's place, of which its id is made.
"""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, PrimaryId


class Conversation(Base):
    __tablename__ = "conversations"

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB, server_default="{}")
    created_at: Mapped[CreatedAt]


class ConversationItem(Base):
    """An item that a client added."""

    __tablename__ = "conversation_items"
    __table_args__ = (
        Index("ix_conversation_items_conversation_id_digits_number", "conversation_id", "digits", "number"),
    )

    digits: Mapped[PrimaryId]
    number: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[Id] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    item: Mapped[dict[str, Any]] = mapped_column(JSONB)


class RemovedConversationItem(Base):
    """An item of a response that a client took out of the conversation."""

    __tablename__ = "removed_conversation_items"

    conversation_id: Mapped[PrimaryId] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    digits: Mapped[PrimaryId]
    number: Mapped[int] = mapped_column(primary_key=True)

"""What lies in storage: noted before it is written, so that nothing can be left there unknown."""

from datetime import datetime

from sqlalchemy import DateTime, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, PrimaryId


class StoredObject(Base):
    __tablename__ = "stored_objects"
    __table_args__ = (
        Index("ix_stored_objects_erase_at", "erase_at", postgresql_where=text("erase_at IS NOT NULL")),
    )

    key: Mapped[PrimaryId]
    created_at: Mapped[CreatedAt]
    erase_at: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True), comment="when it may go from storage; null: never"
    )

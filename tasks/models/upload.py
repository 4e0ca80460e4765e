"""A file that comes in parts."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class UploadStatus(StrEnum):
    """``pending → completed | cancelled``; one that is pending past its time is shown as expired."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Upload(Base):
    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'completed', 'cancelled')", name="status_known"),
        CheckConstraint(
            "(status = 'completed') = (part_ids IS NOT NULL)", name="has_its_parts_when_completed"
        ),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    mime_type: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger, comment="as announced")
    file_expires_in_seconds: Mapped[int]
    status: Mapped[str] = mapped_column(server_default="pending")
    part_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text), comment="what the file was made of")
    file_id: Mapped[Id | None] = mapped_column(comment="the file may be gone by now")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]


class UploadPart(Base):
    __tablename__ = "upload_parts"

    id: Mapped[PrimaryId]
    upload_id: Mapped[Id] = mapped_column(ForeignKey("uploads.id"), index=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    # What is erased from storage is erased here.
    storage_key: Mapped[Id] = mapped_column(ForeignKey("stored_objects.key", ondelete="CASCADE"), unique=True)
    created_at: Mapped[CreatedAt]

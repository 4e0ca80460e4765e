"""A file: bytes in storage, or a view of a batch's results."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class File(Base):
    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint(
            "(storage_key IS NULL) = (batch_id IS NOT NULL AND view IS NOT NULL)", name="stored_or_a_view"
        ),
        CheckConstraint("view IN ('output', 'error')", name="view_known"),
        Index(
            "ix_files_unmeasured",
            "batch_id",
            postgresql_where=text("view IS NOT NULL AND sha256 IS NULL AND deleted_at IS NULL"),
        ),
        Index("ix_files_project_id_id", "project_id", "id", postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(comment="hexadecimal; null for views that may still grow")
    # What is erased from storage is erased here.
    storage_key: Mapped[Id | None] = mapped_column(
        ForeignKey("stored_objects.key", ondelete="CASCADE"), unique=True, comment="null for views"
    )
    batch_id: Mapped[Id | None] = mapped_column(comment="of a view: whose results it shows")
    view: Mapped[str | None] = mapped_column(comment="of a view: which results")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment | None] = mapped_column(comment="null: never")
    deleted_at: Mapped[Moment | None]

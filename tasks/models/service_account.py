"""A program that belongs to a project and has keys of its own."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId
from tasks.roles import ROLE_KNOWN


class ServiceAccount(Base):
    __tablename__ = "service_accounts"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        Index(
            "ix_service_accounts_project_id_id",
            "project_id",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    role: Mapped[str | None] = mapped_column(comment="null: none, and its keys are good for nothing")
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Moment | None]

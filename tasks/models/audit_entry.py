"""What was done on the admin plane, by whom. Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, PrimaryId


class AuditEntry(Base):
    __tablename__ = "audit_entries"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('admin_key', 'user', 'cli')", name="actor_kind_known"),
        Index("ix_audit_entries_organization_id_id", "organization_id", "id"),
    )

    id: Mapped[PrimaryId]
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[Id | None] = mapped_column(ForeignKey("projects.id"))
    actor_kind: Mapped[str]
    actor_id: Mapped[Id | None] = mapped_column(comment="of an admin key or a user")
    actor_user_id: Mapped[Id | None] = mapped_column(
        ForeignKey("users.id"), comment="the person behind, if known"
    )
    action: Mapped[str]
    object_id: Mapped[Id]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[Id | None]
    ip: Mapped[str | None]
    created_at: Mapped[CreatedAt]

"""An invitation to an organization, until it is accepted, deleted or too old."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId
from tasks.roles import ROLE_KNOWN


class Invite(Base):
    __tablename__ = "invites"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        Index(
            "uq_invites_organization_id_email",
            "organization_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND deleted_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str]
    role: Mapped[str]
    projects: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, comment="memberships it leads to: id, role")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    accepted_at: Mapped[Moment | None]
    deleted_at: Mapped[Moment | None]

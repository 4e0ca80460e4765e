"""A person who belongs to an organization."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId
from tasks.roles import ROLE_KNOWN


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        # A person who was deleted may come again.
        Index(
            "uq_users_organization_id_email",
            "organization_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Moment | None]

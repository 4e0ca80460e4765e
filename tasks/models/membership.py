"""A user's place in a project."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, PrimaryId
from tasks.roles import ROLE_KNOWN


class Membership(Base):
    __tablename__ = "memberships"
    __table_args__ = (CheckConstraint(ROLE_KNOWN, name="role_known"),)

    project_id: Mapped[PrimaryId] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[PrimaryId] = mapped_column(ForeignKey("users.id"), index=True)
    role: Mapped[str]
    created_at: Mapped[CreatedAt]

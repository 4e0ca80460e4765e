"""A project: whose jobs, keys and money they are."""

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[PrimaryId]
    # The default is for processes of the version before, which know of no organizations.
    organization_id: Mapped[Id] = mapped_column(
        ForeignKey("organizations.id"), index=True, server_default=func.default_organization_id()
    )
    name: Mapped[str]
    created_at: Mapped[CreatedAt]
    archived_at: Mapped[Moment | None] = mapped_column(comment="its keys stopped then; its data stays")

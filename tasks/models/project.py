"""A project: whose jobs, keys and money they are."""

from sqlalchemy.orm import Mapped

from tasks.models.base import Base, CreatedAt, PrimaryId


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[PrimaryId]
    name: Mapped[str]
    created_at: Mapped[CreatedAt]

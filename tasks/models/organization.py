"""An organization: whose projects, users and admin keys they are. A migration makes the first one."""

from sqlalchemy.orm import Mapped

from tasks.models.base import Base, CreatedAt, PrimaryId


class Organization(Base):
    __tablename__ = "organizations"

    id: Mapped[PrimaryId]
    name: Mapped[str]
    created_at: Mapped[CreatedAt]

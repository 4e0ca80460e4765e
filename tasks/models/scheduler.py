"""A scheduler process: alive while it says so every few seconds."""

from sqlalchemy.orm import Mapped

from tasks.models.base import Base, CreatedAt, PrimaryId


class Scheduler(Base):
    __tablename__ = "schedulers"

    id: Mapped[PrimaryId]
    hostname: Mapped[str]
    process_id: Mapped[int]
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]

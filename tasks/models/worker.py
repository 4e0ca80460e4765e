"""A worker process: alive while it holds its advisory lock and renews its lease.

The lease covers every job the worker owns, so renewing a thousand of them is one small update.
"""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Moment, PrimaryId


class Worker(Base):
    __tablename__ = "workers"

    id: Mapped[PrimaryId]
    model: Mapped[str]
    hostname: Mapped[str]
    process_id: Mapped[int]
    lock_key: Mapped[int] = mapped_column(BigInteger, unique=True)
    quantization: Mapped[str]
    slots: Mapped[int]
    device: Mapped[str | None] = mapped_column(comment="null: its version did not say")
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]
    lease_expires_at: Mapped[Moment]
    stopped_at: Mapped[Moment | None]

"""A client's promise that two posts are one."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"

    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id", deferrable=True, initially="DEFERRED"))
    created_at: Mapped[CreatedAt] = mapped_column(index=True)

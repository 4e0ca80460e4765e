"""Limits of a project that are not the default: of one model and service tier, or of the whole project."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from tasks.limit_amounts import NAMES
from tasks.models.base import Base, Id


class RateLimit(Base):
    __tablename__ = "rate_limits"
    __table_args__ = (
        *(CheckConstraint(f"{name} >= 0", name=f"{name}_not_negative") for name in NAMES),
        {"comment": "null: the default; 0: no limit"},
    )

    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True, comment="*: all of the project's together")
    service_tier: Mapped[str] = mapped_column(primary_key=True, comment="* where the model is")
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    requests_per_day: Mapped[int | None]
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    concurrent_jobs: Mapped[int | None]
    queued_batch_tokens: Mapped[int | None] = mapped_column(BigInteger)

"""A batch: many lines of one file as one piece of work. Its lines are jobs, or were never fit to be."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.batch import BatchStatus
from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId, Usd

_STATUSES = ", ".join(f"'{status}'" for status in BatchStatus)
_OPEN = text("status IN ('validating', 'in_progress', 'cancelling')")


class Batch(Base):
    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
        CheckConstraint("on_invalid_line IN ('fail', 'skip')", name="on_invalid_line_known"),
        CheckConstraint("on_error IN ('continue', 'stop')", name="on_error_known"),
        CheckConstraint("ends_as IN ('cancelled', 'expired', 'failed')", name="ends_as_known"),
        CheckConstraint("unfinished >= 0", name="unfinished_not_negative"),
        Index("ix_batches_project_id_id", "project_id", "id"),
        Index("ix_batches_open", "status", "id", postgresql_where=_OPEN),
        # Half of each page is left free: every line that ends changes its batch's row.
        {"postgresql_with": {"fillfactor": "50"}},
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    api_key_id: Mapped[Id | None] = mapped_column(ForeignKey("api_keys.id"))
    traceparent: Mapped[str | None] = mapped_column(comment="W3C Trace Context; null: not traced")
    tracestate: Mapped[str | None] = mapped_column(comment="what its caller's tracer adds")
    endpoint: Mapped[str]
    model: Mapped[str | None] = mapped_column(comment="known once validated")
    input_file_id: Mapped[Id]
    retry_of: Mapped[Id | None] = mapped_column(comment="the batch whose unanswered lines these are")
    completion_window: Mapped[str]
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB, server_default="{}")
    on_invalid_line: Mapped[str] = mapped_column(server_default="fail")
    on_error: Mapped[str] = mapped_column(server_default="continue")
    max_cost_usd: Mapped[Usd | None]
    output_expires_after_seconds: Mapped[int | None]

    status: Mapped[str] = mapped_column(server_default="validating")
    ends_as: Mapped[str | None] = mapped_column(comment="how it ends once nothing of it runs, if not well")
    errors: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    total: Mapped[int] = mapped_column(server_default="0")
    completed: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0", comment="invalid lines too")
    unfinished: Mapped[int] = mapped_column(server_default="0", comment="jobs that have not ended")
    last_position: Mapped[int] = mapped_column(server_default="0", comment="lines that have ended so far")
    queued_tokens: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="of all its prompts, as counted when it was validated"
    )
    input_tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cached_tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    output_tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost_usd: Mapped[Usd] = mapped_column(server_default="0")
    output_file_id: Mapped[Id | None]
    error_file_id: Mapped[Id | None]

    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    in_progress_at: Mapped[Moment | None]
    finalizing_at: Mapped[Moment | None]
    completed_at: Mapped[Moment | None]
    failed_at: Mapped[Moment | None]
    expired_at: Mapped[Moment | None]
    cancelling_at: Mapped[Moment | None]
    cancelled_at: Mapped[Moment | None]


class BatchInvalidLine(Base):
    """A line of a batch that was left out because it could never run."""

    __tablename__ = "batch_invalid_lines"

    batch_id: Mapped[Id] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    custom_id: Mapped[str | None]
    error: Mapped[dict[str, Any]] = mapped_column(JSONB)
    output_position: Mapped[int]

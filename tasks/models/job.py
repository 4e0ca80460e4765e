"""A job: one prompt, its one outcome and its one bill."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId, Usd


class JobStatus(StrEnum):
    """``queued → in_progress → completed | failed | cancelled | expired``; a queued job may end at once."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def ended(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.IN_PROGRESS)


_STATUSES = ", ".join(f"'{status}'" for status in JobStatus)


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
        CheckConstraint("type IN ('chat', 'completion', 'response', 'embedding')", name="type_known"),
        CheckConstraint(
            "(status IN ('queued', 'in_progress')) = (ended_at IS NULL)", name="ended_at_is_set_when_ended"
        ),
        CheckConstraint("(status = 'in_progress') = (owner IS NOT NULL)", name="owned_while_in_progress"),
        CheckConstraint(
            "(batch_id IS NULL) = (line_number IS NULL) AND (batch_id IS NULL) = (custom_id IS NULL)",
            name="line_of_a_batch",
        ),
        Index("ix_jobs_project_id_id", "project_id", "id", postgresql_where=text("batch_id IS NULL")),
        Index(
            "ix_jobs_metadata",
            "metadata",
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            postgresql_where=text("metadata <> '{}'"),
        ),
        Index(
            "ix_jobs_queued",
            "model",
            "rank",
            "id",
            postgresql_where=text("status = 'queued' AND batch_id IS NULL"),
        ),
        Index(
            "ix_jobs_conversation_id_id",
            "conversation_id",
            "id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
        Index(
            "ix_jobs_to_erase",
            "id",
            postgresql_where=text("deleted_at IS NOT NULL AND request <> '{}' AND ended_at IS NOT NULL"),
        ),
        Index(
            "ix_jobs_unfinished",
            "project_id",
            "model",
            "service_tier",
            postgresql_where=text("ended_at IS NULL AND batch_id IS NULL"),
        ),
        Index("ix_jobs_in_progress", "owner", postgresql_where=text("status = 'in_progress'")),
        Index(
            "ix_jobs_unpublished",
            "id",
            postgresql_where=text("status = 'queued' AND published_at IS NULL AND batch_id IS NULL"),
        ),
        Index(
            "ix_jobs_unfed",
            "batch_id",
            "worker_losses",
            "prefix_line",
            "line_number",
            postgresql_where=text("status = 'queued' AND slice_id IS NULL AND batch_id IS NOT NULL"),
        ),
        Index(
            "ix_jobs_fed",
            "model",
            "slice_id",
            postgresql_where=text("status = 'queued' AND slice_id IS NOT NULL"),
        ),
        Index(
            "ix_jobs_batch_id_output_position",
            "batch_id",
            "output_position",
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
        Index("ix_jobs_model_ended_at", "model", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_jobs_expiring", "expires_at", postgresql_where=text("status IN ('queued', 'in_progress')")),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.02"}},
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    api_key_id: Mapped[Id | None] = mapped_column(ForeignKey("api_keys.id"))
    request_id: Mapped[str | None]
    traceparent: Mapped[str | None] = mapped_column(comment="W3C Trace Context; null: not traced")
    tracestate: Mapped[str | None] = mapped_column(comment="what its caller's tracer adds")
    endpoint: Mapped[str] = mapped_column(server_default="/v1/jobs")
    type: Mapped[str]
    model: Mapped[str] = mapped_column(ForeignKey("models.name"))
    service_tier: Mapped[str] = mapped_column(server_default="default")
    rank: Mapped[int] = mapped_column(SmallInteger, server_default="1", comment="lower ones run first")
    status: Mapped[str] = mapped_column(server_default="queued")
    stored: Mapped[bool] = mapped_column(
        server_default="false", comment="to be read at its endpoint's own address"
    )
    conversation_id: Mapped[Id | None]

    batch_id: Mapped[Id | None] = mapped_column(ForeignKey("batches.id"), comment="null: no line of a batch")
    line_number: Mapped[int | None] = mapped_column(comment="in the batch's file, from 1")
    custom_id: Mapped[str | None]
    prefix_line: Mapped[int | None] = mapped_column(comment="the first line whose prompt begins alike")
    slice_id: Mapped[Id | None] = mapped_column(comment="what it was last handed to the workers in")
    output_position: Mapped[int | None] = mapped_column(
        comment="its place among the batch's ended lines, from 1"
    )

    request: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="the validated body the client sent")
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB, server_default="{}")
    sampling: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="how outputs are generated; null: as the request says"
    )
    prompt_token_ids: Mapped[list[int]] = mapped_column(
        ARRAY(Integer), comment="those of all prompts, one after the other"
    )
    prompt_lengths: Mapped[list[int] | None] = mapped_column(
        ARRAY(Integer), comment="where there is not exactly one prompt"
    )
    prompt_tokens: Mapped[int]
    max_tokens: Mapped[int] = mapped_column(comment="of each output")
    seed: Mapped[int] = mapped_column(BigInteger, comment="the client's, or one drawn at admission")

    price_input_usd: Mapped[Usd] = mapped_column(comment="per million tokens, as admitted; so the two below")
    price_cached_input_usd: Mapped[Usd]
    price_output_usd: Mapped[Usd]

    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    published_at: Mapped[Moment | None] = mapped_column(comment="null: the relay has yet to publish it")
    started_at: Mapped[Moment | None] = mapped_column(comment="when the present attempt began")
    cancel_requested_at: Mapped[Moment | None]
    ended_at: Mapped[Moment | None]

    attempt: Mapped[int] = mapped_column(
        server_default="0", comment="the fencing token: rises with each claim"
    )
    worker_losses: Mapped[int] = mapped_column(
        server_default="0", comment="attempts that ended with a dead worker"
    )
    owner: Mapped[Id | None] = mapped_column(comment="the worker that runs it")
    system_fingerprint: Mapped[str | None] = mapped_column(comment="what the present attempt runs on")
    stream_to: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default="{}", comment="queues of web processes that want its tokens"
    )

    output_text: Mapped[str | None]
    output_token_ids: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    finish_reason: Mapped[str | None]
    choices: Mapped[list[Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="the outputs where there are several, or log-probabilities"
    )
    vectors: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="little-endian float32, one input after the other"
    )
    billed_prompt_tokens: Mapped[int | None] = mapped_column(comment="0 when nothing was handed over")
    cached_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    cost_usd: Mapped[Usd | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    deleted_at: Mapped[Moment | None] = mapped_column(comment="hidden; its content is erased later")

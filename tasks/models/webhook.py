"""Webhooks: where a project wants to be told of events, what it is to be told, and each try to do so."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class WebhookEndpoint(Base):
    """The secrets are kept whole, since every message is signed with them; see ``tasks.sealing``."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index(
            "ix_webhook_endpoints_project_id_id",
            "project_id",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    url: Mapped[str]
    description: Mapped[str | None]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    enabled: Mapped[bool] = mapped_column(server_default="true")
    disabled_reason: Mapped[str | None] = mapped_column(
        comment="where it was not its project that disabled it"
    )
    secret: Mapped[bytes] = mapped_column(LargeBinary, comment="sealed")
    secret_hint: Mapped[str]
    previous_secret: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="sealed; signs for a time, too"
    )
    previous_secret_expires_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    deleted_at: Mapped[Moment | None] = mapped_column(comment="hidden; erased later with its deliveries")


class WebhookDelivery(Base):
    """An event on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_known"),
        CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due"),
        Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
        Index(
            "ix_webhook_deliveries_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_webhook_deliveries_ended", "created_at", postgresql_where=text("status <> 'pending'")),
    )

    id: Mapped[PrimaryId]
    endpoint_id: Mapped[Id] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[Id] = mapped_column(comment="the same in every try, and for every endpoint told of it")
    event_type: Mapped[str]
    body: Mapped[str] = mapped_column(comment="as it is sent, byte for byte, since it is signed")
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(
        server_default="0", comment="the fencing token: rises with each try"
    )
    attempts_before: Mapped[int] = mapped_column(
        Integer, server_default="0", comment="those before it was last replayed"
    )
    next_attempt_at: Mapped[Moment | None] = mapped_column(
        comment="while it is tried, when it is tried again"
    )
    last_status_code: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    delivered_at: Mapped[Moment | None]


class WebhookAttempt(Base):
    """A try that came to an end."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[Id] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[Moment]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None] = mapped_column(comment="null: there was no answer")
    error: Mapped[str | None] = mapped_column(comment="what went wrong, or the first words of such an answer")

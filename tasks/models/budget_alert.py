"""Who wants to know when a subject's spending has reached an amount, and of which crossings to tell."""

from datetime import date

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId, Usd


class BudgetAlert(Base):
    __tablename__ = "budget_alerts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["subject_kind", "subject_id"],
            ["budgets.subject_kind", "budgets.subject_id"],
            name="fk_budget_alerts_subject_budgets",
        ),
        CheckConstraint("(percent IS NULL) <> (amount_usd IS NULL)", name="percent_or_amount"),
        CheckConstraint("percent > 0 AND amount_usd > 0", name="positive"),
        Index("ix_budget_alerts_subject_kind_subject_id", "subject_kind", "subject_id"),
    )

    id: Mapped[PrimaryId]
    subject_kind: Mapped[str]
    subject_id: Mapped[Id]
    percent: Mapped[int | None] = mapped_column(comment="of the hard limit, or of the soft one without it")
    amount_usd: Mapped[Usd | None]
    recipients: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}", comment="mail addresses")
    subject_prefix: Mapped[str | None] = mapped_column(comment="of the mail's subject")
    created_at: Mapped[CreatedAt]


class BudgetAlertDue(Base):
    """A crossing, noted once a month for each alert and each soft limit."""

    __tablename__ = "budget_alerts_due"
    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id", "month", "alert"),
        Index("ix_budget_alerts_due_unannounced", "id", postgresql_where=text("announced_at IS NULL")),
        Index("ix_budget_alerts_due_unmailed", "id", postgresql_where=text("mailed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    subject_kind: Mapped[str]
    subject_id: Mapped[Id]
    month: Mapped[date] = mapped_column(Date)
    alert: Mapped[str] = mapped_column(comment="the alert's id, or soft_limit")
    threshold_usd: Mapped[Usd]
    spent_usd: Mapped[Usd] = mapped_column(comment="when it was noted")
    recipients: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    subject_prefix: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    announced_at: Mapped[Moment | None] = mapped_column(comment="when webhooks took it")
    mailed_at: Mapped[Moment | None]

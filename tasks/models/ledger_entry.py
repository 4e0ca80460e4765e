"""A line of the ledger. Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Usd


class LedgerEntry(Base):
    __tablename__ = "ledger_entries"
    __table_args__ = (
        CheckConstraint("kind IN ('charge', 'refund', 'grant', 'adjustment')", name="kind_known"),
        CheckConstraint("kind <> 'charge' OR amount_usd >= 0", name="charge_not_negative"),
        Index("ix_ledger_entries_project_id_created_at", "project_id", "created_at"),
        Index("ix_ledger_entries_created_at_id", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    business_key: Mapped[str] = mapped_column(unique=True, comment="charge:<job id>: no job is charged twice")
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    job_id: Mapped[Id | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    kind: Mapped[str]
    amount_usd: Mapped[Usd] = mapped_column(comment="what the project owes more (charge) or less (negative)")
    prompt_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]

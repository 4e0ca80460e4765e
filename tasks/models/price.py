"""What a million tokens cost, from when on. Rows are added, never changed."""

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, PrimaryId, Usd


class Price(Base):
    __tablename__ = "prices"
    __table_args__ = (
        UniqueConstraint("model", "service_tier", "effective_at"),
        CheckConstraint("source IN ('catalogue', 'operator')", name="source_known"),
        CheckConstraint("input_usd >= 0 AND cached_input_usd >= 0 AND output_usd >= 0", name="not_negative"),
    )

    id: Mapped[PrimaryId]
    model: Mapped[str] = mapped_column(ForeignKey("models.name"))
    service_tier: Mapped[str] = mapped_column(server_default="default")
    input_usd: Mapped[Usd]
    cached_input_usd: Mapped[Usd]
    output_usd: Mapped[Usd]
    effective_at: Mapped[CreatedAt]
    source: Mapped[str] = mapped_column(server_default="catalogue", comment="who listed it")

"""What the ledger comes to by the hour and by the day. Its trigger counts here, whoever writes to it."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, Id, Moment, Usd


class _Sums:
    """Entries of one stretch of time that are alike but for their amounts, without grants."""

    # Half of each page is left free: everything that ends changes its hour's row and its day's.
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)

    start: Mapped[Moment] = mapped_column(primary_key=True)
    project_id: Mapped[Id] = mapped_column(primary_key=True)
    api_key_id: Mapped[Id] = mapped_column(primary_key=True, comment="empty: none; so the three below")
    model: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True, comment="of the job")
    service_tier: Mapped[str] = mapped_column(primary_key=True)
    batch: Mapped[bool] = mapped_column(primary_key=True, comment="whether the jobs were lines of batches")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="of the entries")
    entries: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, comment="cached ones included")
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    amount_usd: Mapped[Usd]
    input_usd: Mapped[Usd] = mapped_column(comment="for input that was not cached; so the two below")
    cached_input_usd: Mapped[Usd]
    output_usd: Mapped[Usd]


class UsageHour(_Sums, Base):
    """By the hour."""

    __tablename__ = "usage_hours"


class UsageDay(_Sums, Base):
    """By the day, in UTC."""

    __tablename__ = "usage_days"

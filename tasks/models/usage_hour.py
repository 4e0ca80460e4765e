"""What the ledger comes to, by the hour. A trigger of the ledger counts here, whoever writes to it."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, Id, Moment, Usd


class UsageHour(Base):
    """Entries of one hour that are alike but for their amounts. Grants are no usage and not in it."""

    __tablename__ = "usage_hours"
    # Half of each page is left free: everything that ends changes its hour's row.
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)

    hour: Mapped[Moment] = mapped_column(primary_key=True, comment="its start")
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

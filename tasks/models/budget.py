"""Monthly budgets: what a subject may spend between two firsts of a month (UTC), and how much is gone."""

from datetime import date

from sqlalchemy import CheckConstraint, Date, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Usd


class Budget(Base):
    """A subject whose spending is counted by the month, with limits or without."""

    __tablename__ = "budgets"
    __table_args__ = (
        CheckConstraint("subject_kind IN ('organization', 'project', 'key')", name="subject_kind_known"),
        CheckConstraint("hard_usd >= 0 AND soft_usd >= 0", name="not_negative"),
    )

    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    hard_usd: Mapped[Usd | None] = mapped_column(comment="nothing is admitted beyond; null: no limit")
    soft_usd: Mapped[Usd | None] = mapped_column(comment="only tells; null: no limit")
    created_at: Mapped[CreatedAt]


class BudgetMonth(Base):
    """A month's counters, one row, so that one conditional update can hold them under the limit.

    What is held counts in the month in which it was taken, and so does the charge that comes of it.
    """

    __tablename__ = "budget_months"
    __table_args__ = (
        ForeignKeyConstraint(
            ["subject_kind", "subject_id"],
            ["budgets.subject_kind", "budgets.subject_id"],
            name="fk_budget_months_subject_budgets",
        ),
        CheckConstraint("held_usd >= 0", name="held_not_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(Date, primary_key=True, comment="its first day")
    held_usd: Mapped[Usd] = mapped_column(server_default="0")
    spent_usd: Mapped[Usd] = mapped_column(server_default="0")

"""A project's money at a glance: one row, so that one conditional update can hold it under its limit."""

from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, Id, Usd


class Spend(Base):
    __tablename__ = "spend"
    __table_args__ = (
        CheckConstraint("held_usd >= 0", name="held_not_negative"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    limit_usd: Mapped[Usd | None] = mapped_column(comment="null: no limit")
    held_usd: Mapped[Usd] = mapped_column(server_default="0")
    spent_usd: Mapped[Usd] = mapped_column(server_default="0")
    prepaid: Mapped[bool] = mapped_column(
        server_default="false", comment="held and spent never exceed what was granted"
    )
    granted_usd: Mapped[Usd] = mapped_column(server_default="0")
    budgeted: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default="{}", comment="the budgets that its jobs count in, as kind:id"
    )

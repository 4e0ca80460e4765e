"""Money set aside for an admitted job: the most it can cost. Gone when the job has ended."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Usd


class Hold(Base):
    __tablename__ = "holds"
    __table_args__ = (CheckConstraint("amount_usd >= 0", name="not_negative"),)

    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), index=True)
    amount_usd: Mapped[Usd]
    created_at: Mapped[CreatedAt]

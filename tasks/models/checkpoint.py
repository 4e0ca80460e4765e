"""What a running job has generated so far, apart from the job's wide row so that saving it is cheap."""

from typing import Any

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id


class Checkpoint(Base):
    __tablename__ = "checkpoints"
    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)

    job_id: Mapped[Id] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int]
    token_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    text: Mapped[str]
    choices: Mapped[list[Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="the outputs so far where there are several, or log-probabilities"
    )
    saved_at: Mapped[CreatedAt]

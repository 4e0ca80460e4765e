"""A model as the catalogue last described it, kept so that jobs and prices can point at it."""

from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt


class Model(Base):
    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    revision: Mapped[str | None]
    quantization: Mapped[str]
    context_length: Mapped[int]
    created_at: Mapped[CreatedAt]

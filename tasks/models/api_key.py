"""An API key: only its hash is kept; the prefix finds it."""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class ApiKey(Base):
    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("user_id IS NULL OR service_account_id IS NULL", name="one_owner_at_most"),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), index=True)
    user_id: Mapped[Id | None] = mapped_column(ForeignKey("users.id"), index=True)
    service_account_id: Mapped[Id | None] = mapped_column(ForeignKey("service_accounts.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{read,write}")
    created_at: Mapped[CreatedAt]
    revoked_at: Mapped[Moment | None]

"""A key of the admin plane: only its hash is kept; the prefix finds it."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId


class AdminKey(Base):
    __tablename__ = "admin_keys"

    id: Mapped[PrimaryId]
    organization_id: Mapped[Id] = mapped_column(ForeignKey("organizations.id"), index=True)
    user_id: Mapped[Id | None] = mapped_column(ForeignKey("users.id"), comment="null: the operator's")
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment | None] = mapped_column(comment="null: never")
    last_used_at: Mapped[Moment | None] = mapped_column(comment="to the minute")
    revoked_at: Mapped[Moment | None]

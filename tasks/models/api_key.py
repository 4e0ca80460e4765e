"""A key, of which only the hash is kept and which its prefix finds; or who holds tokens instead of one."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, Moment, PrimaryId

# A row has a secret, or the subject of an issuer's tokens; never both, so an identity is no key.
ONE_OF_BOTH = (
    "(prefix IS NULL) = (secret_sha256 IS NULL) AND (subject IS NULL) = (issuer IS NULL) "
    "AND (secret_sha256 IS NULL) = (subject IS NOT NULL)"
)


class ApiKey(Base):
    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("user_id IS NULL OR service_account_id IS NULL", name="one_owner_at_most"),
        CheckConstraint(ONE_OF_BOTH, name="secret_or_subject"),
        Index(
            "ix_api_keys_identity",
            "project_id",
            "issuer",
            "subject",
            unique=True,
            postgresql_where=text("subject IS NOT NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"), index=True)
    user_id: Mapped[Id | None] = mapped_column(ForeignKey("users.id"), index=True)
    service_account_id: Mapped[Id | None] = mapped_column(ForeignKey("service_accounts.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str | None] = mapped_column(unique=True)
    secret_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_sha256: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="of before the last rotation, good until previous_until"
    )
    previous_until: Mapped[Moment | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{read,write}")
    models: Mapped[list[str] | None] = mapped_column(ARRAY(Text), comment="null: every model")
    networks: Mapped[list[str] | None] = mapped_column(ARRAY(Text), comment="CIDR; null: from everywhere")
    must_sign: Mapped[bool] = mapped_column(server_default="false")
    issuer: Mapped[str | None] = mapped_column(comment="of the tokens that stand for this row")
    subject: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]
    last_used_at: Mapped[Moment | None] = mapped_column(comment="to the minute")

"""The receipt of a charge. A trigger of the ledger begins it with the charge; then it is signed, for good."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tasks.models.base import Base, CreatedAt, Id, PrimaryId


class Receipt(Base):
    """A link of its project's chain. A trigger refuses to change or delete one that is signed."""

    __tablename__ = "receipts"
    __table_args__ = (
        CheckConstraint(
            "(sequence IS NULL) = (document IS NULL) AND (sequence IS NULL) = (sha256 IS NULL) "
            "AND (sequence IS NULL) = (signature IS NULL)",
            name="signed_or_not",
        ),
        UniqueConstraint("project_id", "sequence"),
        Index("ix_receipts_unsigned", "ledger_entry_id", postgresql_where=text("sequence IS NULL")),
    )

    job_id: Mapped[PrimaryId] = mapped_column(ForeignKey("jobs.id"))
    project_id: Mapped[Id] = mapped_column(ForeignKey("projects.id"))
    ledger_entry_id: Mapped[int] = mapped_column(BigInteger, comment="which is never deleted")
    created_at: Mapped[CreatedAt]
    sequence: Mapped[int | None] = mapped_column(
        comment="in its project's chain, from 1; null: not signed yet"
    )
    document: Mapped[str | None] = mapped_column(comment="canonical JSON, as it was signed")
    sha256: Mapped[str | None] = mapped_column(comment="of the document, in hexadecimal")
    signature: Mapped[str | None] = mapped_column(comment="Ed25519, of the document, in base64")

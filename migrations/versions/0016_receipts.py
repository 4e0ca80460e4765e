"""Receipts: begun with each charge by the database, chained and signed by the scheduler.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

C_TEXT = sa.Text(collation="C")
FUNCTIONS = (
    """
    CREATE FUNCTION begin_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO receipts (job_id, project_id, ledger_entry_id)
        SELECT job_id, project_id, id FROM entered WHERE kind = 'charge' AND job_id IS NOT NULL
        ORDER BY job_id
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER ledger_has_receipts AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS entered
    FOR EACH STATEMENT EXECUTE FUNCTION begin_receipts()
    """,
    """
    CREATE FUNCTION refuse_receipt_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'receipts are for good: % is refused', TG_OP;
    END
    $$
    """,
    """
    CREATE TRIGGER signed_receipts_stay BEFORE UPDATE ON receipts
    FOR EACH ROW WHEN (OLD.sequence IS NOT NULL) EXECUTE FUNCTION refuse_receipt_change()
    """,
    """
    CREATE TRIGGER receipts_stay BEFORE DELETE OR TRUNCATE ON receipts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_receipt_change()
    """,
)


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("job_id", C_TEXT, nullable=False),
        sa.Column("project_id", C_TEXT, nullable=False),
        sa.Column("ledger_entry_id", sa.BigInteger(), nullable=False, comment="which is never deleted"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "sequence",
            sa.Integer(),
            nullable=True,
            comment="in its project's chain, from 1; null: not signed yet",
        ),
        sa.Column("document", sa.String(), nullable=True, comment="canonical JSON, as it was signed"),
        sa.Column("sha256", sa.String(), nullable=True, comment="of the document, in hexadecimal"),
        sa.Column("signature", sa.String(), nullable=True, comment="Ed25519, of the document, in base64"),
        sa.CheckConstraint(
            "(sequence IS NULL) = (document IS NULL) AND (sequence IS NULL) = (sha256 IS NULL) "
            "AND (sequence IS NULL) = (signature IS NULL)",
            name=op.f("ck_receipts_signed_or_not"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_receipts_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_receipts_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("project_id", "sequence", name=op.f("uq_receipts_project_id_sequence")),
    )
    op.create_index(
        "ix_receipts_unsigned",
        "receipts",
        ["ledger_entry_id"],
        postgresql_where=sa.text("sequence IS NULL"),
    )
    for statement in FUNCTIONS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER ledger_has_receipts ON ledger_entries")
    op.drop_table("receipts")
    op.execute("DROP FUNCTION begin_receipts()")
    op.execute("DROP FUNCTION refuse_receipt_change()")

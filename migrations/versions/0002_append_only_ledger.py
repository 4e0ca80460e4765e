"""The ledger refuses every change to what was written.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the ledger is append-only: % is refused', TG_OP
                USING HINT = 'write an adjustment or a refund instead';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER ledger_is_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER ledger_is_append_only ON ledger_entries")
    op.execute("DROP FUNCTION refuse_ledger_change()")

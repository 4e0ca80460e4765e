"""Files of ended batches are counted once: which are still to be, and what tells that they have been.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BEFORE = "hexadecimal; null for views"
AFTER = "hexadecimal; null for views that may still grow"


def upgrade() -> None:
    op.alter_column("files", "sha256", existing_type=sa.String(), existing_comment=BEFORE, comment=AFTER)
    op.create_index(
        "ix_files_unmeasured",
        "files",
        ["batch_id"],
        postgresql_where=sa.text("view IS NOT NULL AND sha256 IS NULL AND deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_unmeasured", table_name="files")
    op.alter_column("files", "sha256", existing_type=sa.String(), existing_comment=AFTER, comment=BEFORE)

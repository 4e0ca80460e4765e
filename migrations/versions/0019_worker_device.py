"""What device a worker runs on.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workers",
        sa.Column("device", sa.String(), nullable=True, comment="null: its version did not say"),
    )


def downgrade() -> None:
    op.drop_column("workers", "device")

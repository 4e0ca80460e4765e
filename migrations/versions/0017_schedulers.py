"""Schedulers: which of them live, for readiness and for people who look.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

C_TEXT = sa.Text(collation="C")
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "schedulers",
        sa.Column("id", C_TEXT, nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedulers")),
    )


def downgrade() -> None:
    op.drop_table("schedulers")

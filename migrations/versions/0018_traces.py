"""What a job, or a batch, belongs to in somebody's trace: the row carries it from process to process.

Revision ID: 0018
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = ("jobs", "batches")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "traceparent", sa.String(), nullable=True, comment="W3C Trace Context; null: not traced"
            ),
        )
        op.add_column(
            table,
            sa.Column("tracestate", sa.String(), nullable=True, comment="what its caller's tracer adds"),
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "tracestate")
        op.drop_column(table, "traceparent")

"""Limits of projects that are not the default; what counting jobs and batches against limits needs.

Revision ID: 0014
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

AMOUNTS = {
    "requests_per_minute": sa.Integer,
    "tokens_per_minute": sa.BigInteger,
    "requests_per_day": sa.Integer,
    "tokens_per_day": sa.BigInteger,
    "concurrent_jobs": sa.Integer,
    "queued_batch_tokens": sa.BigInteger,
}
QUEUED_TOKENS = "of all its prompts, as counted when it was validated"


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column(
            "project_id",
            sa.Text(collation="C"),
            sa.ForeignKey("projects.id", name=op.f("fk_rate_limits_project_id_projects")),
            nullable=False,
        ),
        sa.Column("model", sa.String(), nullable=False, comment="*: all of the project's together"),
        sa.Column("service_tier", sa.String(), nullable=False, comment="* where the model is"),
        *(sa.Column(name, kind(), nullable=True) for name, kind in AMOUNTS.items()),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_rate_limits_{name}_not_negative"))
            for name in AMOUNTS
        ),
        sa.PrimaryKeyConstraint("project_id", "model", "service_tier", name=op.f("pk_rate_limits")),
        comment="null: the default; 0: no limit",
    )
    op.add_column(
        "batches",
        sa.Column(
            "queued_tokens", sa.BigInteger(), server_default="0", nullable=False, comment=QUEUED_TOKENS
        ),
    )
    # Batches that are open now count like those to come.
    op.execute(
        "UPDATE batches SET queued_tokens = (SELECT coalesce(sum(prompt_tokens), 0) FROM jobs "
        "WHERE jobs.batch_id = batches.id) WHERE status IN ('in_progress', 'cancelling')"
    )
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["project_id", "model", "service_tier"],
        postgresql_where=sa.text("ended_at IS NULL AND batch_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_unfinished", table_name="jobs")
    op.drop_column("batches", "queued_tokens")
    op.drop_table("rate_limits")

"""Batches, and what makes a job a line of one.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LINE_COLUMNS: tuple[sa.Column[object], ...] = (
    sa.Column("batch_id", sa.Text(collation="C"), nullable=True, comment="null: no line of a batch"),
    sa.Column("line_number", sa.Integer(), nullable=True, comment="in the batch's file, from 1"),
    sa.Column("custom_id", sa.String(), nullable=True),
    sa.Column("prefix_line", sa.Integer(), nullable=True, comment="the first line whose prompt begins alike"),
    sa.Column(
        "slice_id", sa.Text(collation="C"), nullable=True, comment="what it was last handed to the workers in"
    ),
    sa.Column(
        "output_position",
        sa.Integer(),
        nullable=True,
        comment="its place among the batch's ended lines, from 1",
    ),
)
LINE_CHECK = "(batch_id IS NULL) = (line_number IS NULL) AND (batch_id IS NULL) = (custom_id IS NULL)"


def upgrade() -> None:
    _create_batches()
    _create_invalid_lines()
    for column in LINE_COLUMNS:
        op.add_column("jobs", column)
    # Validated apart from adding them, so that the table is not locked while its rows are looked at.
    _check("line_of_a_batch", f"CHECK ({LINE_CHECK})", "ck_jobs_{}")
    _check("batch_id_batches", "FOREIGN KEY (batch_id) REFERENCES batches (id)", "fk_jobs_{}")
    _index("ix_jobs_project_id_id", ["project_id", "id"], "batch_id IS NULL")
    _index("ix_jobs_queued", ["model", "rank", "id"], "status = 'queued' AND batch_id IS NULL")
    _index("ix_jobs_unpublished", ["id"], "status = 'queued' AND published_at IS NULL AND batch_id IS NULL")
    op.create_index(
        "ix_jobs_unfed",
        "jobs",
        ["batch_id", "worker_losses", "prefix_line", "line_number"],
        postgresql_where=sa.text("status = 'queued' AND slice_id IS NULL AND batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_fed",
        "jobs",
        ["model", "slice_id"],
        postgresql_where=sa.text("status = 'queued' AND slice_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_batch_id_output_position",
        "jobs",
        ["batch_id", "output_position"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )


def downgrade() -> None:
    for name in ("ix_jobs_batch_id_output_position", "ix_jobs_fed", "ix_jobs_unfed"):
        op.drop_index(name, table_name="jobs")
    _index("ix_jobs_unpublished", ["id"], "status = 'queued' AND published_at IS NULL")
    _index("ix_jobs_queued", ["model", "rank", "id"], "status = 'queued'")
    _index("ix_jobs_project_id_id", ["project_id", "id"], None)
    op.drop_constraint(op.f("fk_jobs_batch_id_batches"), "jobs", type_="foreignkey")
    op.drop_constraint(op.f("ck_jobs_line_of_a_batch"), "jobs", type_="check")
    for column in reversed(LINE_COLUMNS):
        op.drop_column("jobs", column.name)
    op.drop_table("batch_invalid_lines")
    op.drop_table("batches")


def _create_batches() -> None:
    op.create_table(
        "batches",
        _id("id", nullable=False),
        _id("project_id", nullable=False),
        _id("api_key_id"),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True, comment="known once validated"),
        _id("input_file_id", nullable=False),
        _id("retry_of", comment="the batch whose unanswered lines these are"),
        sa.Column("completion_window", sa.String(), nullable=False),
        sa.Column("metadata", _json(), server_default="{}", nullable=False),
        sa.Column("on_invalid_line", sa.String(), server_default="fail", nullable=False),
        sa.Column("on_error", sa.String(), server_default="continue", nullable=False),
        sa.Column("max_cost_usd", sa.Numeric(24, 12), nullable=True),
        sa.Column("output_expires_after_seconds", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(), server_default="validating", nullable=False),
        sa.Column(
            "ends_as", sa.String(), nullable=True, comment="how it ends once nothing of it runs, if not well"
        ),
        sa.Column("errors", _json(), nullable=True),
        _count("total"),
        _count("completed"),
        _count("failed", comment="invalid lines too"),
        _count("unfinished", comment="jobs that have not ended"),
        _count("last_position", comment="lines that have ended so far"),
        *(
            sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
            for name in ("input_tokens", "cached_tokens", "output_tokens")
        ),
        sa.Column("cost_usd", sa.Numeric(24, 12), server_default="0", nullable=False),
        _id("output_file_id"),
        _id("error_file_id"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(f"{name}_at", sa.DateTime(timezone=True), nullable=True)
            for name in (
                "in_progress",
                "finalizing",
                "completed",
                "failed",
                "expired",
                "cancelling",
                "cancelled",
            )
        ),
        *_batch_constraints(),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_batches_project_id_id", "batches", ["project_id", "id"])
    op.create_index(
        "ix_batches_open",
        "batches",
        ["status", "id"],
        postgresql_where=sa.text("status IN ('validating', 'in_progress', 'cancelling')"),
    )


def _batch_constraints() -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_batches_project_id_projects")),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=op.f("fk_batches_api_key_id_api_keys")),
        sa.CheckConstraint(
            "status IN ('validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', "
            "'cancelling', 'cancelled')",
            name=op.f("ck_batches_status_known"),
        ),
        sa.CheckConstraint(
            "on_invalid_line IN ('fail', 'skip')", name=op.f("ck_batches_on_invalid_line_known")
        ),
        sa.CheckConstraint("on_error IN ('continue', 'stop')", name=op.f("ck_batches_on_error_known")),
        sa.CheckConstraint(
            "ends_as IN ('cancelled', 'expired', 'failed')", name=op.f("ck_batches_ends_as_known")
        ),
        sa.CheckConstraint("unfinished >= 0", name=op.f("ck_batches_unfinished_not_negative")),
    )


def _create_invalid_lines() -> None:
    op.create_table(
        "batch_invalid_lines",
        _id("batch_id", nullable=False),
        sa.Column("line_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("custom_id", sa.String(), nullable=True),
        sa.Column("error", _json(), nullable=False),
        sa.Column("output_position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "line_number", name=op.f("pk_batch_invalid_lines")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_batch_invalid_lines_batch_id_batches")
        ),
    )


def _id(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable, comment=comment)


def _count(name: str, *, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False, comment=comment)


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(astext_type=sa.Text())


def _check(name: str, definition: str, pattern: str) -> None:
    constraint = pattern.format(name)
    op.execute(f"ALTER TABLE jobs ADD CONSTRAINT {constraint} {definition} NOT VALID")
    op.execute(f"ALTER TABLE jobs VALIDATE CONSTRAINT {constraint}")


def _index(name: str, columns: list[str], where: str | None) -> None:
    """Replace an index of jobs by one of the same name."""
    op.drop_index(name, table_name="jobs")
    op.create_index(name, "jobs", columns, postgresql_where=None if where is None else sa.text(where))

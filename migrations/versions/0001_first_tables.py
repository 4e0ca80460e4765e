"""The first tables: projects, keys, models, prices, jobs, holds, the ledger.

Revision ID: 0001
Revises: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import conv

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES_NEWEST_FIRST = (
    "ledger_entries",
    "idempotency_keys",
    "holds",
    "checkpoints",
    "jobs",
    "spend",
    "prices",
    "api_keys",
    "workers",
    "projects",
    "models",
)


JOB_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("id", sa.Text(collation="C"), nullable=False),
    sa.Column("project_id", sa.Text(collation="C"), nullable=False),
    sa.Column("api_key_id", sa.Text(collation="C"), nullable=True),
    sa.Column("request_id", sa.String(), nullable=True),
    sa.Column("type", sa.String(), nullable=False),
    sa.Column("model", sa.String(), nullable=False),
    sa.Column("status", sa.String(), server_default="queued", nullable=False),
    sa.Column(
        "request",
        postgresql.JSONB(astext_type=sa.Text()),
        nullable=False,
        comment="the validated body the client sent",
    ),
    sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    sa.Column("prompt_token_ids", postgresql.ARRAY(sa.Integer()), nullable=False),
    sa.Column("prompt_tokens", sa.Integer(), nullable=False),
    sa.Column("max_tokens", sa.Integer(), nullable=False),
    sa.Column("seed", sa.BigInteger(), nullable=False, comment="the client's, or one drawn at admission"),
    sa.Column(
        "price_input_usd",
        sa.Numeric(precision=24, scale=12),
        nullable=False,
        comment="per million tokens, as admitted; so the two below",
    ),
    sa.Column("price_cached_input_usd", sa.Numeric(precision=24, scale=12), nullable=False),
    sa.Column("price_output_usd", sa.Numeric(precision=24, scale=12), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column(
        "published_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="null: the relay has yet to publish it",
    ),
    sa.Column(
        "started_at", sa.DateTime(timezone=True), nullable=True, comment="when the present attempt began"
    ),
    sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column(
        "attempt",
        sa.Integer(),
        server_default="0",
        nullable=False,
        comment="the fencing token: rises with each claim",
    ),
    sa.Column(
        "worker_losses",
        sa.Integer(),
        server_default="0",
        nullable=False,
        comment="attempts that ended with a dead worker",
    ),
    sa.Column("owner", sa.Text(collation="C"), nullable=True, comment="the worker that runs it"),
    sa.Column("output_text", sa.String(), nullable=True),
    sa.Column("output_token_ids", postgresql.ARRAY(sa.Integer()), nullable=True),
    sa.Column("finish_reason", sa.String(), nullable=True),
    sa.Column("billed_prompt_tokens", sa.Integer(), nullable=True, comment="0 when nothing was handed over"),
    sa.Column("cached_tokens", sa.Integer(), nullable=True),
    sa.Column("completion_tokens", sa.Integer(), nullable=True),
    sa.Column("cost_usd", sa.Numeric(precision=24, scale=12), nullable=True),
    sa.Column("error_code", sa.String(), nullable=True),
    sa.Column("error_message", sa.String(), nullable=True),
)
JOB_CONSTRAINTS = (
    sa.CheckConstraint(
        "(status = 'in_progress') = (owner IS NOT NULL)", name=conv("ck_jobs_owned_while_in_progress")
    ),
    sa.CheckConstraint(
        "(status IN ('queued', 'in_progress')) = (ended_at IS NULL)",
        name=conv("ck_jobs_ended_at_is_set_when_ended"),
    ),
    sa.CheckConstraint(
        "status IN ('queued', 'in_progress', 'completed', 'failed', 'cancelled', 'expired')",
        name=conv("ck_jobs_status_known"),
    ),
    sa.CheckConstraint("type IN ('chat', 'completion')", name=conv("ck_jobs_type_known")),
    sa.ForeignKeyConstraint(["api_key_id"], ["api_keys.id"], name=conv("fk_jobs_api_key_id_api_keys")),
    sa.ForeignKeyConstraint(["model"], ["models.name"], name=conv("fk_jobs_model_models")),
    sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=conv("fk_jobs_project_id_projects")),
    sa.PrimaryKeyConstraint("id", name=conv("pk_jobs")),
)


def upgrade() -> None:
    create_models()
    create_projects()
    create_workers()
    create_api_keys()
    create_prices()
    create_spend()
    create_jobs()
    create_checkpoints()
    create_holds()
    create_idempotency_keys()
    create_ledger_entries()


def downgrade() -> None:
    for table in TABLES_NEWEST_FIRST:
        op.drop_table(table)


def create_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=True),
        sa.Column("quantization", sa.String(), nullable=False),
        sa.Column("context_length", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )


def create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )


def create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=False),
        sa.Column("lock_key", sa.BigInteger(), nullable=False),
        sa.Column("quantization", sa.String(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sa.UniqueConstraint("lock_key", name=op.f("uq_workers_lock_key")),
    )


def create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_project_id"), "api_keys", ["project_id"], unique=False)


def create_prices() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("service_tier", sa.String(), server_default="default", nullable=False),
        sa.Column("input_usd", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.Column("cached_input_usd", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.Column("output_usd", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.Column(
            "effective_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "input_usd >= 0 AND cached_input_usd >= 0 AND output_usd >= 0",
            name=op.f("ck_prices_not_negative"),
        ),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name=op.f("fk_prices_model_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint(
            "model", "service_tier", "effective_at", name=op.f("uq_prices_model_service_tier_effective_at")
        ),
    )


def create_spend() -> None:
    op.create_table(
        "spend",
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("limit_usd", sa.Numeric(precision=24, scale=12), nullable=True, comment="null: no limit"),
        sa.Column("held_usd", sa.Numeric(precision=24, scale=12), server_default="0", nullable=False),
        sa.Column("spent_usd", sa.Numeric(precision=24, scale=12), server_default="0", nullable=False),
        sa.CheckConstraint("held_usd >= 0", name=op.f("ck_spend_held_not_negative")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_spend_project_id_projects")),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_spend")),
        postgresql_with={"fillfactor": "50"},
    )


def create_jobs() -> None:
    op.create_table("jobs", *JOB_COLUMNS, *JOB_CONSTRAINTS)
    create_job_indexes()


def create_job_indexes() -> None:
    op.create_index(
        "ix_jobs_expiring",
        "jobs",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'in_progress')"),
    )
    op.create_index(
        "ix_jobs_in_progress",
        "jobs",
        ["owner"],
        unique=False,
        postgresql_where=sa.text("status = 'in_progress'"),
    )
    op.create_index(
        "ix_jobs_metadata",
        "jobs",
        ["metadata"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
        postgresql_where=sa.text("metadata <> '{}'"),
    )
    op.create_index(
        "ix_jobs_model_ended_at",
        "jobs",
        ["model", "ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index("ix_jobs_project_id_id", "jobs", ["project_id", "id"], unique=False)
    op.create_index(
        "ix_jobs_queued", "jobs", ["model", "id"], unique=False, postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_jobs_unpublished",
        "jobs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND published_at IS NULL"),
    )


def create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("token_ids", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_checkpoints_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_checkpoints")),
        postgresql_with={"fillfactor": "50"},
    )


def create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("amount_usd", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount_usd >= 0", name=op.f("ck_holds_not_negative")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_holds_job_id_jobs")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_holds_project_id_projects")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_project_id"), "holds", ["project_id"], unique=False)


def create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_idempotency_keys_job_id_jobs"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_idempotency_keys_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)


def create_ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "business_key", sa.String(), nullable=False, comment="charge:<job id>: no job is charged twice"
        ),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("job_id", sa.Text(collation="C"), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column(
            "amount_usd",
            sa.Numeric(precision=24, scale=12),
            nullable=False,
            comment="what the project owes more (charge) or less (negative)",
        ),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind <> 'charge' OR amount_usd >= 0", name=op.f("ck_ledger_entries_charge_not_negative")
        ),
        sa.CheckConstraint(
            "kind IN ('charge', 'refund', 'grant', 'adjustment')", name=op.f("ck_ledger_entries_kind_known")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_ledger_entries_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_ledger_entries_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("business_key", name=op.f("uq_ledger_entries_business_key")),
    )
    op.create_index(op.f("ix_ledger_entries_job_id"), "ledger_entries", ["job_id"], unique=False)
    op.create_index(
        "ix_ledger_entries_project_id_created_at",
        "ledger_entries",
        ["project_id", "created_at"],
        unique=False,
    )

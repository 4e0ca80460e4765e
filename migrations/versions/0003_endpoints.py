"""What the OpenAI endpoints need of a job: several prompts and outputs, tiers, streams, deletion.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW_COLUMNS: tuple[sa.Column[object], ...] = (
    sa.Column("endpoint", sa.String(), server_default="/v1/jobs", nullable=False),
    sa.Column("service_tier", sa.String(), server_default="default", nullable=False),
    sa.Column("rank", sa.SmallInteger(), server_default="1", nullable=False, comment="lower ones run first"),
    sa.Column(
        "stored",
        sa.Boolean(),
        server_default="false",
        nullable=False,
        comment="to be read at its endpoint's own address",
    ),
    sa.Column("conversation_id", sa.Text(collation="C"), nullable=True),
    sa.Column(
        "sampling",
        postgresql.JSONB(astext_type=sa.Text()),
        nullable=True,
        comment="how outputs are generated; null: as the request says",
    ),
    sa.Column(
        "prompt_lengths",
        postgresql.ARRAY(sa.Integer()),
        nullable=True,
        comment="where there is not exactly one prompt",
    ),
    sa.Column("system_fingerprint", sa.String(), nullable=True, comment="what the present attempt runs on"),
    sa.Column(
        "stream_to",
        postgresql.ARRAY(sa.Text()),
        server_default="{}",
        nullable=False,
        comment="queues of web processes that want its tokens",
    ),
    sa.Column(
        "choices",
        postgresql.JSONB(astext_type=sa.Text()),
        nullable=True,
        comment="the outputs where there are several, or log-probabilities",
    ),
    sa.Column(
        "vectors",
        sa.LargeBinary(),
        nullable=True,
        comment="little-endian float32, one input after the other",
    ),
    sa.Column(
        "deleted_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="hidden; its content is erased later",
    ),
)


def upgrade() -> None:
    for column in NEW_COLUMNS:
        op.add_column("jobs", column)
    op.alter_column("jobs", "prompt_token_ids", comment="those of all prompts, one after the other")
    op.alter_column("jobs", "max_tokens", comment="of each output")
    replace_type_check("'chat', 'completion', 'response', 'embedding'")
    op.drop_index("ix_jobs_queued", table_name="jobs")
    queued = sa.text("status = 'queued'")
    op.create_index("ix_jobs_queued", "jobs", ["model", "rank", "id"], postgresql_where=queued)
    op.create_index(
        "ix_jobs_conversation_id_id",
        "jobs",
        ["conversation_id", "id"],
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_to_erase",
        "jobs",
        ["id"],
        postgresql_where=sa.text("deleted_at IS NOT NULL AND request <> '{}' AND ended_at IS NOT NULL"),
    )
    op.add_column(
        "checkpoints",
        sa.Column(
            "choices",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="the outputs so far where there are several, or log-probabilities",
        ),
    )
    op.add_column(
        "api_keys",
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{read,write}", nullable=False),
    )


def downgrade() -> None:
    op.drop_column("api_keys", "scopes")
    op.drop_column("checkpoints", "choices")
    op.drop_index("ix_jobs_to_erase", table_name="jobs")
    op.drop_index("ix_jobs_conversation_id_id", table_name="jobs")
    op.drop_index("ix_jobs_queued", table_name="jobs")
    op.create_index("ix_jobs_queued", "jobs", ["model", "id"], postgresql_where=sa.text("status = 'queued'"))
    replace_type_check("'chat', 'completion'")
    op.alter_column("jobs", "max_tokens", comment=None)
    op.alter_column("jobs", "prompt_token_ids", comment=None)
    for column in reversed(NEW_COLUMNS):
        op.drop_column("jobs", column.name)


def replace_type_check(types: str) -> None:
    """Validated apart from adding it, so that the table is not locked while its rows are looked at."""
    name = op.f("ck_jobs_type_known")
    op.drop_constraint(name, "jobs", type_="check")
    op.execute(f"ALTER TABLE jobs ADD CONSTRAINT {name} CHECK (type IN ({types})) NOT VALID")
    op.execute(f"ALTER TABLE jobs VALIDATE CONSTRAINT {name}")

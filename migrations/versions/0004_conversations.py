"""Conversations, the items added to them, and those of responses that were taken out.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_conversations_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_table(
        "conversation_items",
        sa.Column("digits", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("item", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        _of_a_conversation("conversation_items"),
        sa.PrimaryKeyConstraint("digits", "number", name=op.f("pk_conversation_items")),
    )
    op.create_index(
        "ix_conversation_items_conversation_id_digits_number",
        "conversation_items",
        ["conversation_id", "digits", "number"],
    )
    op.create_table(
        "removed_conversation_items",
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("digits", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _of_a_conversation("removed_conversation_items"),
        sa.PrimaryKeyConstraint(
            "conversation_id", "digits", "number", name=op.f("pk_removed_conversation_items")
        ),
    )


def downgrade() -> None:
    op.drop_table("removed_conversation_items")
    op.drop_table("conversation_items")
    op.drop_table("conversations")


def _of_a_conversation(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["conversation_id"],
        ["conversations.id"],
        name=op.f(f"fk_{table}_conversation_id_conversations"),
        ondelete="CASCADE",
    )

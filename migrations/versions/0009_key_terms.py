"""Keys that expire, rotate, sign, and are good for some models and networks; rows for bearers of tokens.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ONE_OF_BOTH = (
    "(prefix IS NULL) = (secret_sha256 IS NULL) AND (subject IS NULL) = (issuer IS NULL) "
    "AND (secret_sha256 IS NULL) = (subject IS NOT NULL)"
)


def upgrade() -> None:
    for column in _columns():
        op.add_column("api_keys", column)
    op.alter_column("api_keys", "prefix", existing_type=sa.String(), nullable=True)
    op.alter_column("api_keys", "secret_sha256", existing_type=sa.LargeBinary(), nullable=True)
    op.create_check_constraint(op.f("ck_api_keys_secret_or_subject"), "api_keys", ONE_OF_BOTH)
    op.create_index(
        "ix_api_keys_identity",
        "api_keys",
        ["project_id", "issuer", "subject"],
        unique=True,
        postgresql_where=sa.text("subject IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_api_keys_identity", table_name="api_keys")
    op.drop_constraint(op.f("ck_api_keys_secret_or_subject"), "api_keys")
    # Bearers of tokens stay for the sake of their jobs, as revoked keys that no secret opens.
    op.execute(
        "UPDATE api_keys SET prefix = id, secret_sha256 = '', revoked_at = coalesce(revoked_at, now()) "
        "WHERE secret_sha256 IS NULL"
    )
    op.alter_column("api_keys", "secret_sha256", existing_type=sa.LargeBinary(), nullable=False)
    op.alter_column("api_keys", "prefix", existing_type=sa.String(), nullable=False)
    for column in _columns():
        op.drop_column("api_keys", column.name)


def _columns() -> list[sa.Column[object]]:
    moment = sa.DateTime(timezone=True)
    texts = postgresql.ARRAY(sa.Text())
    return [
        sa.Column(
            "previous_secret_sha256",
            sa.LargeBinary(),
            comment="of before the last rotation, good until previous_until",
        ),
        sa.Column("previous_until", moment),
        sa.Column("models", texts, comment="null: every model"),
        sa.Column("networks", texts, comment="CIDR; null: from everywhere"),
        sa.Column("must_sign", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("issuer", sa.String(), comment="of the tokens that stand for this row"),
        sa.Column("subject", sa.String()),
        sa.Column("expires_at", moment),
        sa.Column("last_used_at", moment, comment="to the minute"),
    ]

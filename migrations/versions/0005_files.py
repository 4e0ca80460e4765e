"""Files, uploads in parts, and what lies in storage.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_objects",
        _id("key"),
        _created_at(),
        _moment("erase_at", comment="when it may go from storage; null: never"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stored_objects")),
    )
    op.create_index(
        "ix_stored_objects_erase_at",
        "stored_objects",
        ["erase_at"],
        postgresql_where=sa.text("erase_at IS NOT NULL"),
    )
    _create_files()
    _create_uploads()
    _create_upload_parts()


def downgrade() -> None:
    for table in ("upload_parts", "uploads", "files", "stored_objects"):
        op.drop_table(table)


def _create_files() -> None:
    op.create_table(
        "files",
        _id("id"),
        _id("project_id"),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True, comment="hexadecimal; null for views"),
        _id("storage_key", nullable=True, comment="null for views"),
        _id("batch_id", nullable=True, comment="of a view: whose results it shows"),
        sa.Column("view", sa.String(), nullable=True, comment="of a view: which results"),
        _created_at(),
        _moment("expires_at", comment="null: never"),
        _moment("deleted_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        *_stored("files"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_files_project_id_projects")),
        sa.CheckConstraint(
            "(storage_key IS NULL) = (batch_id IS NOT NULL AND view IS NOT NULL)",
            name=op.f("ck_files_stored_or_a_view"),
        ),
        sa.CheckConstraint("view IN ('output', 'error')", name=op.f("ck_files_view_known")),
    )
    op.create_index(
        "ix_files_project_id_id",
        "files",
        ["project_id", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        _id("id"),
        _id("project_id"),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="as announced"),
        sa.Column("file_expires_in_seconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), server_default="pending", nullable=False),
        sa.Column(
            "part_ids", postgresql.ARRAY(sa.Text()), nullable=True, comment="what the file was made of"
        ),
        _id("file_id", nullable=True, comment="the file may be gone by now"),
        _created_at(),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_uploads_project_id_projects")),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'cancelled')", name=op.f("ck_uploads_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'completed') = (part_ids IS NOT NULL)",
            name=op.f("ck_uploads_has_its_parts_when_completed"),
        ),
    )


def _create_upload_parts() -> None:
    op.create_table(
        "upload_parts",
        _id("id"),
        _id("upload_id"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        _id("storage_key"),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_parts")),
        *_stored("upload_parts"),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id_uploads")
        ),
    )
    op.create_index("ix_upload_parts_upload_id", "upload_parts", ["upload_id"])


def _id(name: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable, comment=comment)


def _created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _moment(name: str, *, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)


def _stored(table: str) -> tuple[sa.UniqueConstraint, sa.ForeignKeyConstraint]:
    return (
        sa.UniqueConstraint("storage_key", name=op.f(f"uq_{table}_storage_key")),
        sa.ForeignKeyConstraint(
            ["storage_key"],
            ["stored_objects.key"],
            name=op.f(f"fk_{table}_storage_key_stored_objects"),
            ondelete="CASCADE",
        ),
    )

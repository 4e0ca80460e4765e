"""The organization: its users, service accounts, admin keys, and the log of what they do.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)
ROLE_KNOWN = "role IN ('owner', 'admin', 'developer', 'viewer', 'end_user')"


def upgrade() -> None:
    _create_organizations()
    _give_projects_to_the_first()
    _create_users()
    _create_memberships()
    _create_service_accounts()
    _create_invites()
    _create_admin_keys()
    _give_keys_owners()
    _create_audit_entries()


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_is_append_only ON audit_entries")
    op.execute("DROP FUNCTION refuse_audit_change()")
    op.drop_table("audit_entries")
    op.drop_constraint("ck_api_keys_one_owner_at_most", "api_keys")
    op.drop_column("api_keys", "service_account_id")
    op.drop_column("api_keys", "user_id")
    for table in ("admin_keys", "invites", "service_accounts", "memberships", "users"):
        op.drop_table(table)
    op.drop_column("projects", "archived_at")
    op.drop_column("projects", "organization_id")
    op.execute("DROP FUNCTION default_organization_id()")
    op.drop_table("organizations")


def _id() -> sa.Column[str]:
    return sa.Column("id", ID, nullable=False)


def _moment(name: str, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=True, comment=comment)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", MOMENT, server_default=sa.text("now()"), nullable=False)


def _of(table: str, singular: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(
        f"{singular}_id",
        ID,
        sa.ForeignKey(f"{table}.id"),
        nullable=nullable,
        comment=comment,
    )


def _role_known(table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(ROLE_KNOWN, name=op.f(f"ck_{table}_role_known"))


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        _id(),
        sa.Column("name", sa.String(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.execute(
        "INSERT INTO organizations (id, name) "
        "VALUES ('org_' || replace(gen_random_uuid()::text, '-', ''), 'default')"
    )
    op.execute(
        """
        CREATE FUNCTION default_organization_id() RETURNS text LANGUAGE sql STABLE AS
        'SELECT id FROM organizations ORDER BY created_at, id LIMIT 1'
        """
    )


def _give_projects_to_the_first() -> None:
    op.add_column("projects", sa.Column("organization_id", ID, nullable=True))
    op.execute("UPDATE projects SET organization_id = default_organization_id()")
    op.alter_column(
        "projects", "organization_id", nullable=False, server_default=sa.text("default_organization_id()")
    )
    op.create_foreign_key(
        op.f("fk_projects_organization_id_organizations"),
        "projects",
        "organizations",
        ["organization_id"],
        ["id"],
    )
    op.create_index(op.f("ix_projects_organization_id"), "projects", ["organization_id"])
    op.add_column("projects", _moment("archived_at", "its keys stopped then; its data stays"))


def _create_users() -> None:
    op.create_table(
        "users",
        _id(),
        _of("organizations", "organization"),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        _created_at(),
        _moment("deleted_at"),
        _role_known("users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(
        "uq_users_organization_id_email",
        "users",
        ["organization_id", sa.text("lower(email)")],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        _of("projects", "project"),
        _of("users", "user"),
        sa.Column("role", sa.String(), nullable=False),
        _created_at(),
        _role_known("memberships"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"])


def _create_service_accounts() -> None:
    op.create_table(
        "service_accounts",
        _id(),
        _of("projects", "project"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "role", sa.String(), nullable=True, comment="null: none, and its keys are good for nothing"
        ),
        _created_at(),
        _moment("deleted_at"),
        _role_known("service_accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
    )
    op.create_index(
        "ix_service_accounts_project_id_id",
        "service_accounts",
        ["project_id", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _create_invites() -> None:
    op.create_table(
        "invites",
        _id(),
        _of("organizations", "organization"),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column(
            "projects", postgresql.JSONB(), nullable=False, comment="memberships it leads to: id, role"
        ),
        _created_at(),
        sa.Column("expires_at", MOMENT, nullable=False),
        _moment("accepted_at"),
        _moment("deleted_at"),
        _role_known("invites"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invites")),
    )
    op.create_index(
        "uq_invites_organization_id_email",
        "invites",
        ["organization_id", sa.text("lower(email)")],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND deleted_at IS NULL"),
    )


def _create_admin_keys() -> None:
    op.create_table(
        "admin_keys",
        _id(),
        _of("organizations", "organization"),
        _of("users", "user", nullable=True, comment="null: the operator's"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        _created_at(),
        _moment("expires_at", "null: never"),
        _moment("last_used_at", "to the minute"),
        _moment("revoked_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_admin_keys_prefix")),
    )
    op.create_index(op.f("ix_admin_keys_organization_id"), "admin_keys", ["organization_id"])


def _give_keys_owners() -> None:
    for table, column in (("users", "user_id"), ("service_accounts", "service_account_id")):
        op.add_column("api_keys", sa.Column(column, ID, nullable=True))
        op.create_foreign_key(op.f(f"fk_api_keys_{column}_{table}"), "api_keys", table, [column], ["id"])
        op.create_index(op.f(f"ix_api_keys_{column}"), "api_keys", [column])
    op.create_check_constraint(
        op.f("ck_api_keys_one_owner_at_most"), "api_keys", "user_id IS NULL OR service_account_id IS NULL"
    )


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        _id(),
        _of("organizations", "organization"),
        _of("projects", "project", nullable=True),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", ID, nullable=True, comment="of an admin key or a user"),
        _of("users", "actor_user", nullable=True, comment="the person behind, if known"),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_id", ID, nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("ip", sa.String(), nullable=True),
        _created_at(),
        sa.CheckConstraint(
            "actor_kind IN ('admin_key', 'user', 'cli')", name=op.f("ck_audit_entries_actor_kind_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_organization_id_id", "audit_entries", ["organization_id", "id"])
    op.execute(
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_is_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
        """
    )

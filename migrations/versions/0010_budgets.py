"""Monthly budgets with their alerts, prepaid credit, and who listed a price.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

USD = sa.Numeric(24, 12)
C_TEXT = sa.Text(collation="C")
TABLES_NEWEST_FIRST = ("budget_alerts_due", "budget_alerts", "budget_months", "budgets")


def upgrade() -> None:
    _create_budgets()
    _create_budget_months()
    _create_alerts()
    _create_alerts_due()
    _add_to_spend()
    op.add_column(
        "prices",
        sa.Column("source", sa.String(), server_default="catalogue", nullable=False, comment="who listed it"),
    )
    op.create_check_constraint(
        op.f("ck_prices_source_known"), "prices", "source IN ('catalogue', 'operator')"
    )
    op.create_index("ix_ledger_entries_created_at_id", "ledger_entries", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_ledger_entries_created_at_id", table_name="ledger_entries")
    op.drop_column("prices", "source")
    for column in ("budgeted", "granted_usd", "prepaid"):
        op.drop_column("spend", column)
    for table in TABLES_NEWEST_FIRST:
        op.drop_table(table)


def _add_to_spend() -> None:
    op.add_column(
        "spend",
        sa.Column(
            "prepaid",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="held and spent never exceed what was granted",
        ),
    )
    op.add_column("spend", sa.Column("granted_usd", USD, server_default="0", nullable=False))
    op.add_column(
        "spend",
        sa.Column(
            "budgeted",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="the budgets that its jobs count in, as kind:id",
        ),
    )


def _created_at() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _create_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", C_TEXT, nullable=False),
        sa.Column("hard_usd", USD, nullable=True, comment="nothing is admitted beyond; null: no limit"),
        sa.Column("soft_usd", USD, nullable=True, comment="only tells; null: no limit"),
        _created_at(),
        sa.CheckConstraint(
            "subject_kind IN ('organization', 'project', 'key')", name=op.f("ck_budgets_subject_kind_known")
        ),
        sa.CheckConstraint("hard_usd >= 0 AND soft_usd >= 0", name=op.f("ck_budgets_not_negative")),
        sa.PrimaryKeyConstraint("subject_kind", "subject_id", name=op.f("pk_budgets")),
    )


def _create_budget_months() -> None:
    op.create_table(
        "budget_months",
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", C_TEXT, nullable=False),
        sa.Column("month", sa.Date(), nullable=False, comment="its first day"),
        sa.Column("held_usd", USD, server_default="0", nullable=False),
        sa.Column("spent_usd", USD, server_default="0", nullable=False),
        sa.CheckConstraint("held_usd >= 0", name=op.f("ck_budget_months_held_not_negative")),
        sa.ForeignKeyConstraint(
            ["subject_kind", "subject_id"],
            ["budgets.subject_kind", "budgets.subject_id"],
            name=op.f("fk_budget_months_subject_budgets"),
        ),
        sa.PrimaryKeyConstraint("subject_kind", "subject_id", "month", name=op.f("pk_budget_months")),
        postgresql_with={"fillfactor": "50"},
    )


def _create_alerts() -> None:
    op.create_table(
        "budget_alerts",
        sa.Column("id", C_TEXT, nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", C_TEXT, nullable=False),
        sa.Column(
            "percent",
            sa.Integer(),
            nullable=True,
            comment="of the hard limit, or of the soft one without it",
        ),
        sa.Column("amount_usd", USD, nullable=True),
        sa.Column(
            "recipients",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="mail addresses",
        ),
        sa.Column("subject_prefix", sa.String(), nullable=True, comment="of the mail's subject"),
        _created_at(),
        sa.CheckConstraint(
            "(percent IS NULL) <> (amount_usd IS NULL)", name=op.f("ck_budget_alerts_percent_or_amount")
        ),
        sa.CheckConstraint("percent > 0 AND amount_usd > 0", name=op.f("ck_budget_alerts_positive")),
        sa.ForeignKeyConstraint(
            ["subject_kind", "subject_id"],
            ["budgets.subject_kind", "budgets.subject_id"],
            name=op.f("fk_budget_alerts_subject_budgets"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_alerts")),
    )
    op.create_index(
        "ix_budget_alerts_subject_kind_subject_id", "budget_alerts", ["subject_kind", "subject_id"]
    )


def _create_alerts_due() -> None:
    op.create_table(
        "budget_alerts_due",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", C_TEXT, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("alert", sa.String(), nullable=False, comment="the alert's id, or soft_limit"),
        sa.Column("threshold_usd", USD, nullable=False),
        sa.Column("spent_usd", USD, nullable=False, comment="when it was noted"),
        sa.Column("recipients", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("subject_prefix", sa.String(), nullable=True),
        _created_at(),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True, comment="when webhooks took it"),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_alerts_due")),
        sa.UniqueConstraint(
            "subject_kind",
            "subject_id",
            "month",
            "alert",
            name=op.f("uq_budget_alerts_due_subject_kind_subject_id_month_alert"),
        ),
    )
    for channel in ("announced", "mailed"):
        op.create_index(
            f"ix_budget_alerts_due_un{channel}",
            "budget_alerts_due",
            ["id"],
            postgresql_where=sa.text(f"{channel}_at IS NULL"),
        )

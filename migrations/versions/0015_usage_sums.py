"""The ledger added up by the hour and by the day, so that usage and costs are read from a few rows.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

USD = sa.Numeric(24, 12)
C_TEXT = sa.Text(collation="C")
TABLES = {"usage_hours": "hour", "usage_days": "day"}
KEY = ("start", "project_id", "api_key_id", "model", "type", "service_tier", "batch", "kind")
SUMS = (
    *("entries", "prompt_tokens", "cached_tokens", "completion_tokens"),
    *("amount_usd", "input_usd", "cached_input_usd", "output_usd"),
)
# Always in the same order, so that no two transactions wait for each other.
COUNT = f"""
    INSERT INTO {{table}} AS counted ({", ".join(KEY + SUMS)})
    SELECT date_trunc('{{width}}', entered.created_at, 'UTC'), entered.project_id,
        coalesce(jobs.api_key_id, ''), coalesce(jobs.model, ''), coalesce(jobs.type, ''),
        coalesce(jobs.service_tier, ''),
        jobs.batch_id IS NOT NULL, entered.kind,
        count(*), coalesce(sum(entered.prompt_tokens), 0), coalesce(sum(entered.cached_tokens), 0),
        coalesce(sum(entered.completion_tokens), 0), sum(entered.amount_usd),
        coalesce(sum((entered.prompt_tokens - entered.cached_tokens) * jobs.price_input_usd) * 0.000001, 0),
        coalesce(sum(entered.cached_tokens * jobs.price_cached_input_usd) * 0.000001, 0),
        coalesce(sum(entered.completion_tokens * jobs.price_output_usd) * 0.000001, 0)
    FROM {{entered}} AS entered LEFT JOIN jobs ON jobs.id = entered.job_id
    WHERE entered.kind <> 'grant'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET
        {", ".join(f"{column} = counted.{column} + excluded.{column}" for column in SUMS)}
"""  # noqa: S608 - constants


def upgrade() -> None:
    for table in TABLES:
        _create_table(table)
    op.execute(
        f"""
        CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {_count("entered")}
            RETURN NULL;
        END
        $$
        """
    )
    # This locks the ledger against writers until the end: nothing is left out or counted twice below.
    op.execute(
        """
        CREATE TRIGGER ledger_is_counted AFTER INSERT ON ledger_entries
        REFERENCING NEW TABLE AS entered
        FOR EACH STATEMENT EXECUTE FUNCTION count_usage()
        """
    )
    op.execute(_count("ledger_entries"))


def downgrade() -> None:
    op.execute("DROP TRIGGER ledger_is_counted ON ledger_entries")
    op.execute("DROP FUNCTION count_usage()")
    for table in TABLES:
        op.drop_table(table)


def _count(entered: str) -> str:
    return "".join(
        f"{COUNT.format(entered=entered, table=table, width=width)};" for table, width in TABLES.items()
    )


def _create_table(table: str) -> None:
    op.create_table(
        table,
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project_id", C_TEXT, nullable=False),
        sa.Column("api_key_id", C_TEXT, nullable=False, comment="empty: none; so the three below"),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False, comment="of the job"),
        sa.Column("service_tier", sa.String(), nullable=False),
        sa.Column("batch", sa.Boolean(), nullable=False, comment="whether the jobs were lines of batches"),
        sa.Column("kind", sa.String(), nullable=False, comment="of the entries"),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False, comment="cached ones included"),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("amount_usd", USD, nullable=False),
        sa.Column(
            "input_usd", USD, nullable=False, comment="for input that was not cached; so the two below"
        ),
        sa.Column("cached_input_usd", USD, nullable=False),
        sa.Column("output_usd", USD, nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f(f"pk_{table}")),
        postgresql_with={"fillfactor": "50"},
    )

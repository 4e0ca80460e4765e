"""Views for those who read Postgres directly, and a role that may read them and nothing else.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROLE = "tokenmill_readonly"
MEASURES = """
    count(*) FILTER (WHERE entries.kind = 'charge') AS jobs,
    coalesce(sum(entries.prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(entries.cached_tokens), 0) AS cached_tokens,
    coalesce(sum(entries.completion_tokens), 0) AS completion_tokens,
    sum(entries.amount_usd) AS amount_usd
"""
DAY = "(entries.created_at AT TIME ZONE 'UTC')::date"
VIEWS = {
    "billing_daily": (
        "What each project owes, by day (UTC), kind of entry, model and service tier. Grants are not in it.",
        f"""
        SELECT {DAY} AS day, entries.project_id, projects.name AS project, entries.kind,
            jobs.model, jobs.service_tier, {MEASURES}
        FROM ledger_entries AS entries JOIN projects ON projects.id = entries.project_id
            LEFT JOIN jobs ON jobs.id = entries.job_id
        WHERE entries.kind <> 'grant'
        GROUP BY 1, 2, 3, 4, 5, 6
        """,  # noqa: S608 - constants
    ),
    "billing_by_key": (
        "What was charged for each API key, by day (UTC) and model. Refunds count for the key of their job.",
        f"""
        SELECT {DAY} AS day, entries.project_id, projects.name AS project, jobs.api_key_id,
            api_keys.name AS api_key, jobs.model, {MEASURES}
        FROM ledger_entries AS entries JOIN projects ON projects.id = entries.project_id
            JOIN jobs ON jobs.id = entries.job_id
            LEFT JOIN api_keys ON api_keys.id = jobs.api_key_id
        GROUP BY 1, 2, 3, 4, 5, 6
        """,  # noqa: S608 - constants
    ),
    "usage_hourly": (
        "Tokens charged, by hour (UTC), project, model, endpoint and service tier.",
        f"""
        SELECT date_trunc('hour', entries.created_at AT TIME ZONE 'UTC') AS hour, entries.project_id,
            projects.name AS project, jobs.model, jobs.endpoint, jobs.service_tier, {MEASURES}
        FROM ledger_entries AS entries JOIN projects ON projects.id = entries.project_id
            JOIN jobs ON jobs.id = entries.job_id
        WHERE entries.kind = 'charge'
        GROUP BY 1, 2, 3, 4, 5, 6
        """,  # noqa: S608 - constants
    ),
}
COLUMNS = {
    "day": "in UTC",
    "hour": "its start, in UTC",
    "jobs": "that were charged",
    "prompt_tokens": "cached ones included",
    "amount_usd": "exact; refunds and reductions are negative",
}


def upgrade() -> None:
    for name, (comment, query) in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
        op.execute(f"COMMENT ON VIEW {name} IS '{comment}'")
        for column, told in COLUMNS.items():
            if f" AS {column}" in query:
                op.execute(f"COMMENT ON COLUMN {name}.{column} IS '{told}'")
    _grant_to_role()


def downgrade() -> None:
    # The role stays: it belongs to the server, and other databases may use it.
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")


def _grant_to_role() -> None:
    """Who may not create roles is told what is missing; everything else works without it."""
    op.execute(
        f"""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
                CREATE ROLE {ROLE} NOLOGIN;
            END IF;
            GRANT SELECT ON {", ".join(VIEWS)} TO {ROLE};
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                GRANT SELECT ON {", ".join(VIEWS)} TO {ROLE};
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'the role {ROLE} was not created: % may not create roles. Create it, then: '
                    'GRANT SELECT ON {", ".join(VIEWS)} TO {ROLE}', current_user;
        END
        $$
        """
    )

"""What a budget's counters ought to say, added up from the holds and the ledger."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.months import start_of


def held_by_month(connection: Connection, projects: Sequence[str], key: str | None) -> dict[date, Decimal]:
    """Open holds of the projects' jobs, or of a key's, by the month in which they were taken."""
    rows = connection.execute(_HELD, {"projects": list(projects), "key": key})
    return {row.month: row.amount_usd for row in rows}


def spent_by_month(
    connection: Connection, projects: Sequence[str], key: str | None, since: date
) -> dict[date, Decimal]:
    """Charges by the month in which their hold was taken, and what people entered by its own."""
    values = {"projects": list(projects), "key": key, "since": start_of(since)}
    return {row.month: row.amount_usd for row in connection.execute(_SPENT, values)}


# A job is inserted in the transaction that takes its hold, so the two are of one moment.
_HELD = text("""
    SELECT (date_trunc('month', jobs.created_at AT TIME ZONE 'UTC'))::date AS month,
        sum(holds.amount_usd) AS amount_usd
    FROM holds JOIN jobs ON jobs.id = holds.job_id
    WHERE holds.project_id = ANY(:projects) AND (cast(:key AS text) IS NULL OR jobs.api_key_id = :key)
    GROUP BY 1
""")
_SPENT = text("""
    SELECT (date_trunc('month', counted.moment AT TIME ZONE 'UTC'))::date AS month,
        sum(amount_usd) AS amount_usd
    FROM (
        SELECT jobs.created_at AS moment, entries.amount_usd
        FROM ledger_entries AS entries JOIN jobs ON jobs.id = entries.job_id
        WHERE entries.kind = 'charge' AND entries.project_id = ANY(:projects)
            AND entries.created_at >= :since AND jobs.created_at >= :since
            AND (cast(:key AS text) IS NULL OR jobs.api_key_id = :key)
        UNION ALL
        SELECT created_at, amount_usd FROM ledger_entries
        WHERE kind IN ('refund', 'adjustment') AND project_id = ANY(:projects)
            AND created_at >= :since AND cast(:key AS text) IS NULL
    ) AS counted
    GROUP BY 1
""")

"""What was spent, what is held, and which limits are near."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.months import THIS_MONTH_SQL

NEAR = Decimal("0.8")
_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NearLimit:
    """A limit of which four fifths are gone, held amounts included."""

    subject: str
    limit_usd: Decimal
    used_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendStatus:
    """Days and months are in UTC; refunds and adjustments are counted, grants are not."""

    today_usd: Decimal
    month_usd: Decimal
    held_usd: Decimal
    near_limits: list[NearLimit]


def read_spend(connection: Connection) -> SpendStatus:
    spent = connection.execute(_SPENT).one()
    near = connection.execute(_NEAR, {"near": NEAR, "most": _MOST}).mappings()
    return SpendStatus(
        today_usd=spent.today_usd,
        month_usd=spent.month_usd,
        held_usd=spent.held_usd,
        near_limits=[NearLimit(**row) for row in near],
    )


_SPENT = text("""
    SELECT coalesce(sum(amount_usd) FILTER (WHERE start >= date_trunc('day', now(), 'UTC')), 0) AS today_usd,
        coalesce(sum(amount_usd), 0) AS month_usd,
        (SELECT coalesce(sum(held_usd), 0) FROM spend) AS held_usd
    FROM usage_days WHERE start >= date_trunc('month', now(), 'UTC')
""")
_NEAR = text(
    f"""
    WITH limits AS (
        SELECT subject_kind || ':' || coalesce(projects.name, subject_id) AS subject, hard_usd AS limit_usd,
            held_usd + spent_usd AS used_usd
        FROM budgets JOIN budget_months USING (subject_kind, subject_id)
        LEFT JOIN projects ON subject_kind = 'project' AND projects.id = subject_id
        WHERE month = {THIS_MONTH_SQL} AND hard_usd > 0
        UNION ALL
        SELECT 'project:' || projects.name, limit_usd, held_usd + spent_usd
        FROM spend JOIN projects ON projects.id = project_id
        WHERE limit_usd > 0
    )
    SELECT subject, limit_usd, used_usd FROM limits
    WHERE used_usd >= limit_usd * :near
    ORDER BY used_usd / limit_usd DESC, subject
    LIMIT :most
"""  # noqa: S608 - our own text
)

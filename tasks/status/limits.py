"""Limits on what may be spent, and how much of each is gone, held amounts included."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.months import THIS_MONTH_SQL

NEAR = Decimal("0.8")
_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NearLimit:
    """A limit, or prepaid credit, of which four fifths are gone."""

    subject: str
    limit_usd: Decimal
    used_usd: Decimal


def read_near_limits(connection: Connection) -> list[NearLimit]:
    """The fullest first."""
    found = connection.execute(_NEAR, {"near": NEAR, "most": _MOST}).mappings()
    return [NearLimit(**row) for row in found]


def read_fullest(connection: Connection) -> dict[str, float]:
    """What is gone of the fullest limit of each kind of subject that has one, as a share."""
    return {row.subject_kind: row.share for row in connection.execute(_FULLEST)}


_LIMITS = f"""
    WITH limits AS (
        SELECT subject_kind, subject_id, hard_usd AS limit_usd, held_usd + spent_usd AS used_usd
        FROM budgets JOIN budget_months USING (subject_kind, subject_id)
        WHERE month = {THIS_MONTH_SQL} AND hard_usd > 0
        UNION ALL
        SELECT 'project', project_id, limit_usd, held_usd + spent_usd FROM spend WHERE limit_usd > 0
        UNION ALL
        SELECT 'project', project_id, granted_usd, held_usd + spent_usd FROM spend
        WHERE prepaid AND granted_usd > 0
    )
"""  # noqa: S608 - a constant
_NEAR = text(
    f"""
    {_LIMITS}
    SELECT subject_kind || ':' || coalesce(projects.name, subject_id) AS subject, limit_usd, used_usd
    FROM limits LEFT JOIN projects ON subject_kind = 'project' AND projects.id = subject_id
    WHERE used_usd >= limit_usd * :near
    ORDER BY used_usd / limit_usd DESC, subject, limit_usd
    LIMIT :most
    """  # noqa: S608 - a constant
)
_FULLEST = text(
    f"""
    {_LIMITS}
    SELECT subject_kind, max(used_usd / limit_usd)::float AS share FROM limits GROUP BY subject_kind
    """  # noqa: S608 - a constant
)

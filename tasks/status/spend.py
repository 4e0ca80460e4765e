"""What was spent, what is held, and which limits are near."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.status.limits import NearLimit, read_near_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendStatus:
    """Days and months are in UTC; refunds and adjustments are counted, grants are not."""

    today_usd: Decimal
    month_usd: Decimal
    held_usd: Decimal
    near_limits: list[NearLimit]


def read_spend(connection: Connection) -> SpendStatus:
    spent = connection.execute(_SPENT).one()
    return SpendStatus(
        today_usd=spent.today_usd,
        month_usd=spent.month_usd,
        held_usd=spent.held_usd,
        near_limits=read_near_limits(connection),
    )


_SPENT = text("""
    SELECT coalesce(sum(amount_usd) FILTER (WHERE start >= date_trunc('day', now(), 'UTC')), 0) AS today_usd,
        coalesce(sum(amount_usd), 0) AS month_usd,
        (SELECT coalesce(sum(held_usd), 0) FROM spend) AS held_usd
    FROM usage_days WHERE start >= date_trunc('month', now(), 'UTC')
""")

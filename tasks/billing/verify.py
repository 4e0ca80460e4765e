"""Whether the books are right: what the ledger says is what the jobs, the bodies and the counters say (I4).

One snapshot of the database is looked at, so a running platform verifies as exactly as one that rests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.billing import bodies, budget_check
from tasks.billing.checks import CHECKS
from tasks.billing.difference import Difference
from tasks.billing.period import Period
from tasks.db import transaction

_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
_PATIENCE = text("SET LOCAL statement_timeout = '10min'")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. ``bodies`` is how many were read; the sums are of the period."""

    charges: int
    charged_usd: Decimal
    prompt_tokens: int
    completion_tokens: int
    bodies: int
    difference: Difference | None

    @property
    def right(self) -> bool:
        return self.difference is None


def verify(
    period: Period, project_id: str | None = None, *, read_bodies: bool = True, patient: bool = False
) -> Verification:
    """Verify a period, of one project or of all, and how the counters stand now; up to the first difference.

    ``read_bodies`` also writes every body again, as clients read it, which takes longer than all the rest.
    """
    with transaction() as connection:
        connection.execute(_SNAPSHOT)
        if patient:
            connection.execute(_PATIENCE)
        sums = connection.execute(_SUMS, {"project": project_id, **period.values}).one()
        difference = next(_differences(connection, period, project_id), None)
        count = 0
        if difference is None and read_bodies:
            count, difference = bodies.compare(connection, period, project_id)
    return Verification(
        charges=sums.charges,
        charged_usd=sums.charged_usd,
        prompt_tokens=sums.prompt_tokens,
        completion_tokens=sums.completion_tokens,
        bodies=count,
        difference=difference,
    )


def _differences(connection: Connection, period: Period, project_id: str | None) -> Iterator[Difference]:
    for check in CHECKS:
        found = check.first(connection, period, project_id)
        if found is not None:
            yield found
    yield from budget_check.differences(connection, project_id)


_SUMS = text("""
    SELECT count(*) AS charges, coalesce(sum(amount_usd), 0) AS charged_usd,
        coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
        coalesce(sum(completion_tokens), 0) AS completion_tokens
    FROM ledger_entries
    WHERE kind = 'charge' AND created_at >= :start AND created_at < :end
        AND (cast(:project AS text) IS NULL OR project_id = :project)
""")

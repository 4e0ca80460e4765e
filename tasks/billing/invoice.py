"""A project's bill for a period, as sums that fit on paper."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.billing.period import Period
from tasks.db import transaction
from tasks.projects import ProjectRecord


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What jobs of a model in a tier come to, at one set of prices."""

    model: str
    service_tier: str
    price_input_usd: Decimal
    price_cached_input_usd: Decimal
    price_output_usd: Decimal
    jobs: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A refund, an adjustment or a grant."""

    created_at: datetime
    kind: str
    reason: str
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """``due_usd`` is what was used and corrected; grants pay for it and stand apart."""

    project: ProjectRecord
    period: Period
    usage: list[UsageLine]
    corrections: list[OtherLine]
    grants: list[OtherLine]

    @property
    def number(self) -> str:
        return f"{self.period.start:%Y%m}-{self.project.id.rpartition('_')[2][-12:]}"

    @property
    def due_usd(self) -> Decimal:
        amounts = [line.amount_usd for line in self.usage] + [line.amount_usd for line in self.corrections]
        return sum(amounts, Decimal(0))


def invoice(project: ProjectRecord, period: Period) -> Invoice:
    """The bill. Of a month that is not over it says what there is so far."""
    values = {"project": project.id, **period.values}
    with transaction() as connection:
        usage = [UsageLine(*row) for row in connection.execute(_USAGE, values)]
        others = _others(connection, values)
    corrections = [line for line in others if line.kind != "grant"]
    return Invoice(project, period, usage, corrections, [line for line in others if line.kind == "grant"])


def _others(connection: Connection, values: dict[str, object]) -> list[OtherLine]:
    return [OtherLine(*row) for row in connection.execute(_OTHERS, values)]


_USAGE = text("""
    SELECT jobs.model, jobs.service_tier, jobs.price_input_usd, jobs.price_cached_input_usd,
        jobs.price_output_usd, count(*), sum(entries.prompt_tokens), sum(entries.cached_tokens),
        sum(entries.completion_tokens), sum(entries.amount_usd)
    FROM ledger_entries AS entries JOIN jobs ON jobs.id = entries.job_id
    WHERE entries.kind = 'charge' AND entries.project_id = :project
        AND entries.created_at >= :start AND entries.created_at < :end
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
""")
_OTHERS = text("""
    SELECT created_at, kind, coalesce(reason, ''), amount_usd FROM ledger_entries
    WHERE kind <> 'charge' AND project_id = :project AND created_at >= :start AND created_at < :end
    ORDER BY created_at, id
""")

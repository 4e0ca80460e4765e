"""Money: held at admission, settled with the result, released at the end. The only writer of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from tasks.db import transaction
from tasks.errors import InsufficientQuota
from tasks.models import Hold, LedgerEntry, Spend


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an ended job owes; nothing billed means no charge is written."""

    job_id: str
    project_id: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal

    @property
    def billed(self) -> bool:
        return self.prompt_tokens > 0 or self.completion_tokens > 0


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A ledger entry as shown to its project."""

    created_at: datetime
    kind: str
    job_id: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    amount_usd: Decimal


def hold(connection: Connection, amounts_usd: Mapping[str, Mapping[str, Decimal]]) -> None:
    """Set money aside for new jobs, by project and job, as the admitting transaction's last statements.

    One conditional update per project decides, so no number of parallel submits can overspend (I5).

    Raises:
        InsufficientQuota: held and spent would exceed a project's limit.
    """
    rows = [
        {"job_id": job_id, "project_id": project_id, "amount_usd": amount_usd}
        for project_id, by_job in amounts_usd.items()
        for job_id, amount_usd in by_job.items()
    ]
    if rows:
        connection.execute(insert(Hold), rows)
    for project_id in sorted(amounts_usd):
        set_aside(connection, project_id, sum(amounts_usd[project_id].values(), Decimal(0)))


def set_aside(connection: Connection, project_id: str, amount_usd: Decimal) -> None:
    """Count holds that are written already, as the admitting transaction's last statement.

    Raises:
        InsufficientQuota: held and spent would exceed the project's limit.
    """
    held = connection.execute(_HOLD, {"of_project": project_id, "more_usd": amount_usd})
    if held.rowcount == 0:
        raise InsufficientQuota


def covers(connection: Connection, project_id: str, amount_usd: Decimal) -> bool:
    """Whether an amount could be set aside at this moment; only `set_aside` decides."""
    query = select(Spend.project_id).where(_within_limit())
    return connection.execute(query, {"of_project": project_id, "more_usd": amount_usd}).first() is not None


def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Charge ended jobs and release their holds, in the transaction that ends them."""
    if not settlements:
        return
    charges = [_charge(settlement) for settlement in settlements if settlement.billed]
    if charges:
        connection.execute(insert(LedgerEntry), charges)
    released: defaultdict[str, Decimal] = defaultdict(Decimal)
    statement = delete(Hold).where(Hold.job_id.in_([settlement.job_id for settlement in settlements]))
    for row in connection.execute(statement.returning(Hold.project_id, Hold.amount_usd)):
        released[row.project_id] += row.amount_usd
    spent: defaultdict[str, Decimal] = defaultdict(Decimal)
    for settlement in settlements:
        spent[settlement.project_id] += settlement.cost_usd
    # In one order everywhere, so that two settlements can't wait for each other.
    for project_id in sorted(spent):
        connection.execute(
            update(Spend)
            .where(Spend.project_id == project_id)
            .values(
                held_usd=Spend.held_usd - released[project_id],
                spent_usd=Spend.spent_usd + spent[project_id],
            )
        )


def available(project_id: str) -> Decimal | None:
    """What may still be held; None where nothing limits it."""
    query = select(Spend.limit_usd - Spend.held_usd - Spend.spent_usd).where(Spend.project_id == project_id)
    with transaction() as connection:
        amount: Decimal | None = connection.execute(query).scalar()
        return amount


def entries(project_id: str) -> list[LedgerLine]:
    """A project's ledger, oldest first."""
    columns = (
        LedgerEntry.created_at,
        LedgerEntry.kind,
        LedgerEntry.job_id,
        LedgerEntry.prompt_tokens,
        LedgerEntry.cached_tokens,
        LedgerEntry.completion_tokens,
        LedgerEntry.amount_usd,
    )
    query = select(*columns).where(LedgerEntry.project_id == project_id).order_by(LedgerEntry.id)
    with transaction() as connection:
        return [LedgerLine(*row) for row in connection.execute(query)]


def _charge(settlement: Settlement) -> dict[str, object]:
    return {
        "business_key": f"charge:{settlement.job_id}",
        "project_id": settlement.project_id,
        "job_id": settlement.job_id,
        "kind": "charge",
        "amount_usd": settlement.cost_usd,
        "prompt_tokens": settlement.prompt_tokens,
        "cached_tokens": settlement.cached_tokens,
        "completion_tokens": settlement.completion_tokens,
    }


def _within_limit() -> ColumnElement[bool]:
    more_usd = bindparam("more_usd", type_=Numeric)
    return and_(
        Spend.project_id == bindparam("of_project"),
        or_(Spend.limit_usd.is_(None), Spend.held_usd + Spend.spent_usd + more_usd <= Spend.limit_usd),
    )


# Built once: putting a statement together takes longer than running it, and every submit runs this one.
_HOLD = (
    update(Spend)
    .where(_within_limit())
    .values(held_usd=Spend.held_usd + bindparam("more_usd", type_=Numeric))
)

"""Money: held at admission, settled with the result, released at the end.

With `tasks.corrections`, for what people enter, the only writer of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Numeric, bindparam, delete, insert, or_, select, update

from tasks import budget_counters, quota
from tasks.budget_counters import Change, concerned
from tasks.budget_subject import Subject
from tasks.db import transaction
from tasks.models import Hold, LedgerEntry, Spend


class _OfProject(Protocol):
    @property
    def project_id(self) -> str: ...


Item = TypeVar("Item", bound=_OfProject)


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays for a job, and by which key it was asked for."""

    project_id: str
    api_key_id: str | None


@dataclass(frozen=True, slots=True)
class NewHold:
    """What a job may cost at most."""

    job_id: str
    payer: Payer
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an ended job owes; nothing billed means no charge is written.

    ``month`` is the one in which its hold was taken.
    """

    job_id: str
    payer: Payer
    month: date
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal

    @property
    def project_id(self) -> str:
        return self.payer.project_id

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


def hold(connection: Connection, holds: Sequence[NewHold]) -> None:
    """Set money aside for new jobs, as the admitting transaction's last statements.

    Raises:
        InsufficientQuota: held and spent would exceed a limit.
    """
    if not holds:
        return
    rows = [
        {"job_id": one.job_id, "project_id": one.payer.project_id, "amount_usd": one.amount_usd}
        for one in holds
    ]
    connection.execute(insert(Hold), rows)
    amounts: defaultdict[Payer, Decimal] = defaultdict(Decimal)
    for one in holds:
        amounts[one.payer] += one.amount_usd
    set_aside(connection, amounts)


def set_aside(connection: Connection, amounts_usd: Mapping[Payer, Decimal]) -> None:
    """Count holds that are written already, as the admitting transaction's last statements.

    One conditional update per project decides, and one for each budget that it has, so no number of
    parallel submits can overspend (I5).

    Raises:
        InsufficientQuota: held and spent would exceed a limit.
    """
    in_budgets: defaultdict[Subject, Decimal] = defaultdict(Decimal)
    for project_id, payers in _by_project(amounts_usd):
        more_usd = sum((amounts_usd[payer] for payer in payers), Decimal(0))
        held = connection.execute(_HOLD, {"of_project": project_id, "more_usd": more_usd}).first()
        if held is None:
            raise quota.project_refusal(connection, project_id, more_usd)
        for payer in payers:
            for subject in concerned(held.budgeted, payer.api_key_id):
                in_budgets[subject] += amounts_usd[payer]
    exceeded = budget_counters.hold(connection, in_budgets)
    if exceeded is not None:
        raise quota.budget_refusal(connection, exceeded, in_budgets[exceeded])


def check_covered(connection: Connection, payer: Payer, amount_usd: Decimal) -> None:
    """Whether an amount could be set aside at this moment; only `set_aside` decides.

    Raises InsufficientQuota.
    """
    refused = quota.refusal(connection, payer.project_id, payer.api_key_id, amount_usd)
    if refused is not None:
        raise refused


def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Charge ended jobs and release their holds, in the transaction that ends them."""
    if not settlements:
        return
    charges = [_charge(settlement) for settlement in settlements if settlement.billed]
    if charges:
        connection.execute(insert(LedgerEntry), charges)
    statement = delete(Hold).where(Hold.job_id.in_([settlement.job_id for settlement in settlements]))
    rows = connection.execute(statement.returning(Hold.job_id, Hold.amount_usd))
    released = {row.job_id: row.amount_usd for row in rows}
    changes = {
        settlement: Change(-released.get(settlement.job_id, Decimal(0)), settlement.cost_usd)
        for settlement in settlements
    }
    in_budgets: list[tuple[Subject, date, Change]] = []
    for project_id, ended in _by_project(changes):
        budgeted = change_spend(connection, project_id, sum((changes[one] for one in ended), Change()))
        in_budgets += [
            (subject, one.month, changes[one])
            for one in ended
            for subject in concerned(budgeted, one.payer.api_key_id)
        ]
    budget_counters.settle(connection, in_budgets)


def available(payer: Payer) -> Decimal | None:
    """What may still be held; None where nothing limits it."""
    with transaction() as connection:
        found = quota.quotas(connection, payer.project_id, payer.api_key_id)
    return min((one.left_usd for one in found), default=None)


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


def change_spend(connection: Connection, project_id: str, change: Change) -> list[str]:
    """Count in a project's row, which is locked from here on; returns the budgets that it has."""
    values = {"of_project": project_id, "held": change.held_usd, "spent": change.spent_usd}
    budgeted: list[str] = connection.execute(_CHANGE, values).scalar_one()
    return budgeted


def _by_project(items: Iterable[Item]) -> list[tuple[str, list[Item]]]:
    """In one order everywhere, so that two transactions can't wait for each other."""
    grouped: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        grouped[item.project_id].append(item)
    return sorted(grouped.items(), key=lambda group: group[0])


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


_more_usd = bindparam("more_usd", type_=Numeric)
_would_be_gone = Spend.held_usd + Spend.spent_usd + _more_usd

# Built once: putting a statement together takes longer than running it, and every submit runs this one.
_HOLD = (
    update(Spend)
    .where(
        Spend.project_id == bindparam("of_project"),
        or_(Spend.limit_usd.is_(None), _would_be_gone <= Spend.limit_usd),
        or_(~Spend.prepaid, _would_be_gone <= Spend.granted_usd),
    )
    .values(held_usd=Spend.held_usd + _more_usd)
    .returning(Spend.budgeted)
)
_CHANGE = (
    update(Spend)
    .where(Spend.project_id == bindparam("of_project"))
    .values(
        held_usd=Spend.held_usd + bindparam("held", type_=Numeric),
        spent_usd=Spend.spent_usd + bindparam("spent", type_=Numeric),
    )
    .returning(Spend.budgeted)
)

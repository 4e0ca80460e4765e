"""What people enter in the ledger: credit granted, charges refunded, amounts adjusted. Each with a reason.

Each has a business key: entered again under the same key it changes nothing.
"""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from tasks import audit, budget_counters, ledger
from tasks.actor import OPERATOR
from tasks.budget_counters import Change
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.errors import BusinessKeyReused, InvalidRequest, JobNotFound
from tasks.models import LedgerEntry, Spend
from tasks.pricing import usd_text
from tasks.projects import find_project

_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Correction:
    """An entry of the ledger; ``repeated`` where it had been made before."""

    business_key: str
    kind: str
    amount_usd: Decimal
    repeated: bool


def grant(project: str, amount_usd: Decimal, *, key: str, reason: str) -> Correction:
    """Credit to spend. Raises ProjectNotFound, InvalidRequest, BusinessKeyReused."""
    if amount_usd <= 0:
        raise InvalidRequest("A grant must be more than 0.", param="amount_usd")
    project_id = find_project(project).id
    return _enter(f"grant:{project_id}:{key}", project_id, "grant", -amount_usd, reason)


def adjust(project: str, amount_usd: Decimal, *, key: str, reason: str) -> Correction:
    """What a project owes more, or less where the amount is negative.

    Raises ProjectNotFound, InvalidRequest, BusinessKeyReused.
    """
    if amount_usd == 0:
        raise InvalidRequest("An adjustment must not be 0.", param="amount_usd")
    project_id = find_project(project).id
    return _enter(f"adjustment:{project_id}:{key}", project_id, "adjustment", amount_usd, reason)


def refund(job_id: str, *, reason: str) -> Correction:
    """Take back what a job was charged. Raises JobNotFound where nothing was."""
    query = select(LedgerEntry.project_id, LedgerEntry.amount_usd).where(
        LedgerEntry.business_key == f"charge:{job_id}"
    )
    with transaction() as connection:
        charge = connection.execute(query).first()
    if charge is None:
        raise JobNotFound(f"Nothing was charged for a job {job_id!r}.")
    return _enter(f"refund:{job_id}", charge.project_id, "refund", -charge.amount_usd, reason, job_id)


def _enter(
    business_key: str,
    project_id: str,
    kind: str,
    amount_usd: Decimal,
    reason: str,
    job_id: str | None = None,
) -> Correction:
    if not reason.strip():
        raise InvalidRequest("A reason must be given.", param="reason")
    if amount_usd != round(amount_usd, _DECIMALS):
        raise InvalidRequest(f"An amount has at most {_DECIMALS} decimals.", param="amount_usd")
    values = {
        "business_key": business_key,
        "project_id": project_id,
        "job_id": job_id,
        "kind": kind,
        "amount_usd": amount_usd,
        "reason": reason,
    }
    statement = insert(LedgerEntry).values(values).on_conflict_do_nothing().returning(LedgerEntry.id)
    with transaction() as connection:
        entered = connection.execute(statement).first() is not None
        if entered:
            _count(connection, project_id, kind, amount_usd)
            said = {"amount_usd": usd_text(amount_usd), "reason": reason}
            audit.record(
                connection, OPERATOR, f"ledger.{kind}", business_key, project_id=project_id, data=said
            )
        else:
            _check_same(connection, business_key, amount_usd)
    return Correction(business_key, kind, amount_usd, repeated=not entered)


def _count(connection: Connection, project_id: str, kind: str, amount_usd: Decimal) -> None:
    if kind == "grant":
        connection.execute(
            update(Spend)
            .where(Spend.project_id == project_id)
            .values(granted_usd=Spend.granted_usd - amount_usd)
        )
        return
    budgeted = ledger.change_spend(connection, project_id, Change(spent_usd=amount_usd))
    subjects = map(Subject.parse, budgeted)
    # No key has asked for it.
    concerned = [subject for subject in subjects if subject.kind is not SubjectKind.KEY]
    budget_counters.adjust(connection, concerned, amount_usd)


def _check_same(connection: Connection, business_key: str, amount_usd: Decimal) -> None:
    query = select(LedgerEntry.amount_usd).where(LedgerEntry.business_key == business_key)
    before = connection.execute(query).scalar_one()
    if before != amount_usd:
        raise BusinessKeyReused(f"{business_key} has been entered before, with another amount.", param="key")

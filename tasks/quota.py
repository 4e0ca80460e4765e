"""What limits a project's spending, how much of it is left, and what is said when that is too little."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select, text

from tasks.budget_counters import concerned
from tasks.budget_subject import Subject, SubjectKind
from tasks.errors import InsufficientQuota
from tasks.models import Spend
from tasks.months import THIS_MONTH_SQL, next_month, start_of, this_month
from tasks.pricing import usd_text


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit in force. ``subject`` None: it is the project's for all time."""

    code: str
    name: str
    limit_usd: Decimal
    left_usd: Decimal
    subject: Subject | None = None


def quotas(connection: Connection, project_id: str, api_key_id: str | None) -> list[Quota]:
    """Everything that limits a key's jobs, as it stands."""
    row = _spend(connection, project_id)
    monthly = (_of_budget(connection, subject) for subject in concerned(row.budgeted, api_key_id))
    return [*_of_project(row), *(quota for quota in monthly if quota is not None)]


def refusal(
    connection: Connection, project_id: str, api_key_id: str | None, amount_usd: Decimal
) -> InsufficientQuota | None:
    """Which limit an amount exceeds at this moment, and when it is reset; None where it fits."""
    return _exceeded(quotas(connection, project_id, api_key_id), amount_usd)


def project_refusal(connection: Connection, project_id: str, amount_usd: Decimal) -> InsufficientQuota:
    """Why a project's own row has no room for an amount."""
    return _exceeded(list(_of_project(_spend(connection, project_id))), amount_usd) or InsufficientQuota()


def budget_refusal(connection: Connection, subject: Subject, amount_usd: Decimal) -> InsufficientQuota:
    """Why a budget has no room for an amount."""
    quota = _of_budget(connection, subject)
    return _exceeded([] if quota is None else [quota], amount_usd) or InsufficientQuota()


def _exceeded(found: list[Quota], amount_usd: Decimal) -> InsufficientQuota | None:
    for quota in found:
        if amount_usd > quota.left_usd:
            message = _message(quota, amount_usd)
            return InsufficientQuota(
                message, details=({"param": None, "message": message, "code": quota.code},)
            )
    return None


def _spend(connection: Connection, project_id: str) -> Any:
    query = select(
        Spend.limit_usd, Spend.prepaid, Spend.granted_usd, Spend.held_usd, Spend.spent_usd, Spend.budgeted
    )
    return connection.execute(query.where(Spend.project_id == project_id)).one()


def _of_budget(connection: Connection, subject: Subject) -> Quota | None:
    month = connection.execute(_MONTH, subject.params).one()
    if month.hard_usd is None:
        return None
    code, name = f"{subject.kind}_monthly_limit", f"The {subject.kind}'s monthly limit"
    return Quota(code, name, month.hard_usd, month.hard_usd - month.gone_usd, subject)


def _of_project(row: Any) -> Iterator[Quota]:
    gone_usd = row.held_usd + row.spent_usd
    if row.limit_usd is not None:
        yield Quota("project_limit", "The project's limit", row.limit_usd, row.limit_usd - gone_usd)
    if row.prepaid:
        yield Quota("project_credit", "The project's credit", row.granted_usd, row.granted_usd - gone_usd)


def _message(quota: Quota, amount_usd: Decimal) -> str:
    told = f"{quota.name} of {usd_text(quota.limit_usd)} USD does not cover this request"
    # What the other projects of an organization spend is none of this one's business.
    if quota.subject is None or quota.subject.kind is not SubjectKind.ORGANIZATION:
        left_usd = max(quota.left_usd, Decimal(0))
        told += f": {usd_text(left_usd)} USD are left, and it may cost up to {usd_text(amount_usd)} USD"
    return f"{told}. {_resets(quota)}"


def _resets(quota: Quota) -> str:
    if quota.subject is None:
        return "It does not reset: it has to be raised, or running jobs to end for less than they may cost."
    return f"It resets at {start_of(next_month(this_month())):%Y-%m-%dT%H:%M:%SZ}."


_MONTH = text(f"""
    SELECT hard_usd, coalesce(held_usd + spent_usd, 0) AS gone_usd
    FROM budgets LEFT JOIN budget_months AS months ON months.subject_kind = budgets.subject_kind
        AND months.subject_id = budgets.subject_id AND month = {THIS_MONTH_SQL}
    WHERE budgets.subject_kind = :kind AND budgets.subject_id = :id
""")  # noqa: S608 - a constant

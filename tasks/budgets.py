"""Monthly budgets: set, read and removed, exactly, while jobs come and go.

A project's spend row names the budgets that its jobs count in. Whoever admits or settles locks that row
first, so whoever locks it to name another budget finds in the tables exactly what has been counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from tasks import audit
from tasks.actor import OPERATOR
from tasks.budget_subject import Subject, SubjectKind
from tasks.budget_sums import held_by_month, spent_by_month
from tasks.db import transaction
from tasks.errors import BudgetNotFound, InvalidRequest, KeyNotFound, ProjectNotFound
from tasks.models import ApiKey, Budget, BudgetAlert, BudgetMonth, Project, Spend
from tasks.months import THIS_MONTH_SQL, this_month
from tasks.organization_projects import organization_of, projects_of
from tasks.pricing import usd_text

_LOCK_SPACE = 7_270_015
# A long month of a busy project takes a while to add up.
_PATIENCE = text("SET LOCAL statement_timeout = '10min'")


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """A budget, and how its month stands."""

    subject: Subject
    hard_usd: Decimal | None
    soft_usd: Decimal | None
    month: date
    held_usd: Decimal
    spent_usd: Decimal

    @property
    def exhausted(self) -> bool:
        """Whether the hard limit now refuses everything that costs anything."""
        return self.hard_usd is not None and self.held_usd + self.spent_usd >= self.hard_usd


def set_budget(subject: Subject, *, hard_usd: Decimal | None, soft_usd: Decimal | None) -> BudgetRecord:
    """Give a subject limits, or others than it had. They hold for what is admitted from now on.

    A limit below what is gone already is no fault: nothing more is admitted this month.

    Raises:
        InvalidRequest: a limit is negative.
        ProjectNotFound, KeyNotFound: there is no such subject.
    """
    for name, limit in (("hard_usd", hard_usd), ("soft_usd", soft_usd)):
        if limit is not None and limit < 0:
            raise InvalidRequest(f"{name} must not be negative.", param=name)
    with transaction() as connection:
        keep_budget(connection, subject)
        limits = {"hard_usd": hard_usd, "soft_usd": soft_usd}
        connection.execute(update(Budget).where(*_of(subject)).values(limits))
        asked = {name: None if limit is None else usd_text(limit) for name, limit in limits.items()}
        audit.record(connection, OPERATOR, "budget.updated", str(subject), changes_requested=asked)
        return read_budget(connection, subject)


def set_hard_limit(connection: Connection, subject: Subject, hard_usd: Decimal | None) -> None:
    """Change the one limit, and leave the other. Raises BudgetNotFound."""
    statement = update(Budget).where(*_of(subject)).values(hard_usd=hard_usd)
    if connection.execute(statement).rowcount == 0:
        raise _not_found(subject)


def keep_budget(connection: Connection, subject: Subject) -> None:
    """Have a subject's spending counted from now on, this month's so far included.

    Raises ProjectNotFound, KeyNotFound.
    """
    connection.execute(_PATIENCE)
    _alone(connection, subject)
    projects = sorted(counted_projects(connection, subject))
    added = connection.execute(
        update(Spend)
        .where(Spend.project_id.in_(_locked(connection, projects)), ~Spend.budgeted.contains([str(subject)]))
        .values(budgeted=func.array_append(Spend.budgeted, str(subject)))
    )
    connection.execute(
        upsert(Budget).values(subject_kind=subject.kind.value, subject_id=subject.id).on_conflict_do_nothing()
    )
    if added.rowcount:
        _count_anew(connection, subject, projects)


def remove_budget(subject: Subject) -> None:
    """Forget a subject's limits, counters and alerts. Raises BudgetNotFound."""
    with transaction() as connection:
        _alone(connection, subject)
        query = select(Spend.project_id).where(Spend.budgeted.contains([str(subject)]))
        projects = sorted(connection.execute(query).scalars())
        connection.execute(
            update(Spend)
            .where(Spend.project_id.in_(_locked(connection, projects)))
            .values(budgeted=func.array_remove(Spend.budgeted, str(subject)))
        )
        for table in (BudgetMonth, BudgetAlert):
            connection.execute(delete(table).where(*_of(subject, table)))
        if connection.execute(delete(Budget).where(*_of(subject))).rowcount == 0:
            raise _not_found(subject)
        audit.record(connection, OPERATOR, "budget.deleted", str(subject))


def adopt(connection: Connection, project_id: str) -> None:
    """Count a new project's spending in its organization's budget, if that has one."""
    organization_id = organization_of(connection, project_id)
    if organization_id is None:
        return
    subject = Subject(SubjectKind.ORGANIZATION, organization_id)
    _alone(connection, subject)
    if connection.execute(select(Budget.subject_id).where(*_of(subject))).first() is None:
        return
    connection.execute(
        update(Spend)
        .where(Spend.project_id == project_id, ~Spend.budgeted.contains([str(subject)]))
        .values(budgeted=func.array_append(Spend.budgeted, str(subject)))
    )


def get_budget(subject: Subject) -> BudgetRecord:
    """Raises BudgetNotFound."""
    with transaction() as connection:
        return read_budget(connection, subject)


def read_budget(connection: Connection, subject: Subject) -> BudgetRecord:
    """Raises BudgetNotFound."""
    row = connection.execute(select(Budget.hard_usd, Budget.soft_usd).where(*_of(subject))).first()
    if row is None:
        raise _not_found(subject)
    counted = connection.execute(
        select(BudgetMonth.month, BudgetMonth.held_usd, BudgetMonth.spent_usd).where(
            *_of(subject, BudgetMonth), BudgetMonth.month == text(THIS_MONTH_SQL)
        )
    ).first()
    month = (this_month(), Decimal(0), Decimal(0)) if counted is None else counted
    return BudgetRecord(subject, row.hard_usd, row.soft_usd, *month)


def list_budgets() -> list[BudgetRecord]:
    """Every budget, by kind and subject."""
    query = select(Budget.subject_kind, Budget.subject_id).order_by(Budget.subject_kind, Budget.subject_id)
    with transaction() as connection:
        subjects = [
            Subject(SubjectKind(row.subject_kind), row.subject_id) for row in connection.execute(query)
        ]
        return [read_budget(connection, subject) for subject in subjects]


def set_prepaid(project_id: str, prepaid: bool) -> None:
    """Whether a project spends only what it was granted. Raises ProjectNotFound."""
    statement = update(Spend).where(Spend.project_id == project_id).values(prepaid=prepaid)
    with transaction() as connection:
        if connection.execute(statement).rowcount == 0:
            raise ProjectNotFound
        asked = {"prepaid": prepaid}
        audit.record(
            connection,
            OPERATOR,
            "project.updated",
            project_id,
            project_id=project_id,
            changes_requested=asked,
        )


def counted_projects(connection: Connection, subject: Subject) -> Sequence[str]:
    """Whose jobs count. Raises ProjectNotFound, KeyNotFound."""
    if subject.kind is SubjectKind.ORGANIZATION:
        return projects_of(connection, subject.id)
    if subject.kind is SubjectKind.KEY:
        query = select(ApiKey.project_id).where(ApiKey.id == subject.id)
        missing: type[Exception] = KeyNotFound
    else:
        query = select(Project.id).where(Project.id == subject.id)
        missing = ProjectNotFound
    projects = connection.execute(query).scalars().all()
    if not projects:
        raise missing(f"There is no {subject.kind} {subject.id!r}.")
    return projects


def _alone(connection: Connection, subject: Subject) -> None:
    """A project that is made meanwhile either sees the budget or is seen."""
    query = select(func.pg_advisory_xact_lock(_LOCK_SPACE, func.hashtext(str(subject))))
    connection.execute(query)


def _locked(connection: Connection, projects: Sequence[str]) -> Sequence[str]:
    """Their spend rows, in the order in which everyone locks them."""
    query = select(Spend.project_id).where(Spend.project_id.in_(projects)).order_by(Spend.project_id)
    return connection.execute(query.with_for_update()).scalars().all()


def _count_anew(connection: Connection, subject: Subject, projects: Sequence[str]) -> None:
    """Count what is held and what was spent in this month, and in earlier ones of which jobs still run."""
    key = subject.id if subject.kind is SubjectKind.KEY else None
    held = held_by_month(connection, projects, key)
    now: date = connection.execute(text(f"SELECT {THIS_MONTH_SQL}")).scalar_one()
    months = {now, *held}
    spent = spent_by_month(connection, projects, key, min(months))
    rows = [
        {
            "subject_kind": subject.kind.value,
            "subject_id": subject.id,
            "month": month,
            "held_usd": held.get(month, Decimal(0)),
            "spent_usd": spent.get(month, Decimal(0)),
        }
        for month in sorted(months)
    ]
    connection.execute(delete(BudgetMonth).where(*_of(subject, BudgetMonth)))
    connection.execute(insert(BudgetMonth), rows)


def _of(
    subject: Subject, table: type[Budget | BudgetMonth | BudgetAlert] = Budget
) -> tuple[ColumnElement[bool], ...]:
    return table.subject_kind == subject.kind.value, table.subject_id == subject.id


def _not_found(subject: Subject) -> BudgetNotFound:
    return BudgetNotFound(f"The {subject.kind} {subject.id!r} has no budget.")

"""Whether the counters of budgets agree with the holds and the ledger."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import Connection, select

from tasks.billing.difference import Difference
from tasks.budget_subject import Subject, SubjectKind
from tasks.budget_sums import held_by_month, spent_by_month
from tasks.models import BudgetMonth, Spend
from tasks.pricing import usd_text

_COLUMNS = (
    BudgetMonth.subject_kind,
    BudgetMonth.subject_id,
    BudgetMonth.month,
    BudgetMonth.held_usd,
    BudgetMonth.spent_usd,
)


def differences(connection: Connection, project_id: str | None) -> Iterator[Difference]:
    """Of every budget that counts a project's jobs, or of all."""
    projects: dict[str, list[str]] = {}
    for row in connection.execute(select(Spend.project_id, Spend.budgeted).order_by(Spend.project_id)):
        for subject in row.budgeted:
            projects.setdefault(subject, []).append(row.project_id)
    for subject, counted in sorted(projects.items()):
        if project_id is None or project_id in counted:
            yield from _of(connection, Subject.parse(subject), counted)


def _of(connection: Connection, subject: Subject, projects: list[str]) -> Iterator[Difference]:
    query = select(*_COLUMNS).where(
        BudgetMonth.subject_kind == subject.kind.value, BudgetMonth.subject_id == subject.id
    )
    months = connection.execute(query.order_by(BudgetMonth.month)).all()
    if not months:
        return
    key = subject.id if subject.kind is SubjectKind.KEY else None
    held = held_by_month(connection, projects, key)
    spent = spent_by_month(connection, projects, key, months[0].month)
    zero = Decimal(0)
    for row in months:
        sums = held.get(row.month, zero), spent.get(row.month, zero)
        if (row.held_usd, row.spent_usd) != sums:
            message = (
                f"in {row.month:%Y-%m}, {usd_text(row.held_usd)} USD are counted as held and "
                f"{usd_text(row.spent_usd)} as spent, but it is {usd_text(sums[0])} and {usd_text(sums[1])}"
            )
            yield Difference("wrong_budget", projects[0], str(subject), message)

"""Spend limits of the admin plane: the hard limits of monthly budgets, changed on the record."""

from decimal import Decimal

from tasks import audit, budgets
from tasks.actor import Actor
from tasks.budgets import BudgetRecord
from tasks.db import transaction
from tasks.errors import BudgetNotFound
from tasks.pricing import usd_text
from tasks.spend_subject import spend_subject


def get_spend_limit(actor: Actor, project_id: str | None) -> BudgetRecord:
    """Raises ProjectNotFound, BudgetNotFound."""
    with transaction() as connection:
        budget = budgets.read_budget(connection, spend_subject(connection, actor, project_id))
    return _limited(budget)


def set_spend_limit(actor: Actor, project_id: str | None, hard_usd: Decimal) -> BudgetRecord:
    """It holds for what is admitted from now on. Raises ProjectNotFound, ProjectArchived."""
    with transaction() as connection:
        subject = spend_subject(connection, actor, project_id, change=True)
        budgets.keep_budget(connection, subject)
        budgets.set_hard_limit(connection, subject, hard_usd)
        audit.record(
            connection,
            actor,
            "spend_limit.updated",
            subject.id,
            project_id=project_id,
            changes_requested={"threshold_usd": usd_text(hard_usd)},
        )
        return budgets.read_budget(connection, subject)


def delete_spend_limit(actor: Actor, project_id: str | None) -> None:
    """A soft limit and alerts stay. Raises ProjectNotFound, ProjectArchived, BudgetNotFound."""
    with transaction() as connection:
        subject = spend_subject(connection, actor, project_id, change=True)
        _limited(budgets.read_budget(connection, subject))
        budgets.set_hard_limit(connection, subject, None)
        audit.record(connection, actor, "spend_limit.deleted", subject.id, project_id=project_id)


def _limited(budget: BudgetRecord) -> BudgetRecord:
    if budget.hard_usd is None:
        raise BudgetNotFound(f"The {budget.subject.kind} {budget.subject.id!r} has no spend limit.")
    return budget

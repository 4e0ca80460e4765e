"""Spend alerts of the admin plane: alerts of monthly budgets, changed on the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, select, update

from tasks import audit
from tasks.actor import Actor
from tasks.budget_alerts import alert_values
from tasks.budget_subject import Subject
from tasks.budgets import keep_budget
from tasks.db import transaction
from tasks.errors import AlertNotFound
from tasks.ids import new_id
from tasks.models import Budget, BudgetAlert
from tasks.pages import Page, PageFilter, read_page
from tasks.pricing import usd_text
from tasks.spend_subject import spend_subject


@dataclass(frozen=True, slots=True)
class SpendAlert:
    """``threshold_usd`` is what ``percent`` comes to, where that is set and there is a limit."""

    id: str
    percent: int | None
    threshold_usd: Decimal | None
    recipients: list[str]
    subject_prefix: str | None


def create_spend_alert(
    actor: Actor,
    project_id: str | None,
    threshold_usd: Decimal,
    recipients: Sequence[str],
    subject_prefix: str | None,
) -> SpendAlert:
    """Raises ProjectNotFound, ProjectArchived, InvalidRequest."""
    values = alert_values(None, threshold_usd, recipients, subject_prefix)
    alert_id = new_id("alert")
    with transaction() as connection:
        subject = spend_subject(connection, actor, project_id, change=True)
        keep_budget(connection, subject)
        of = {"id": alert_id, "subject_kind": subject.kind.value, "subject_id": subject.id}
        connection.execute(insert(BudgetAlert).values(of | values))
        data = _told(threshold_usd, recipients)
        audit.record(connection, actor, "spend_alert.created", alert_id, project_id=project_id, data=data)
        return _read(connection, subject, alert_id)


def change_spend_alert(
    actor: Actor,
    project_id: str | None,
    alert_id: str,
    threshold_usd: Decimal,
    recipients: Sequence[str],
    subject_prefix: str | None,
) -> SpendAlert:
    """Raises ProjectNotFound, ProjectArchived, InvalidRequest, AlertNotFound."""
    values = alert_values(None, threshold_usd, recipients, subject_prefix)
    with transaction() as connection:
        subject = spend_subject(connection, actor, project_id, change=True)
        changed = connection.execute(update(BudgetAlert).where(*_named(subject, alert_id)).values(values))
        if changed.rowcount == 0:
            raise _not_found(alert_id)
        changes = _told(threshold_usd, recipients)
        audit.record(
            connection,
            actor,
            "spend_alert.updated",
            alert_id,
            project_id=project_id,
            changes_requested=changes,
        )
        return _read(connection, subject, alert_id)


def delete_spend_alert(actor: Actor, project_id: str | None, alert_id: str) -> None:
    """Raises ProjectNotFound, ProjectArchived, AlertNotFound."""
    with transaction() as connection:
        subject = spend_subject(connection, actor, project_id, change=True)
        if connection.execute(delete(BudgetAlert).where(*_named(subject, alert_id))).rowcount == 0:
            raise _not_found(alert_id)
        audit.record(connection, actor, "spend_alert.deleted", alert_id, project_id=project_id)


def get_spend_alert(actor: Actor, project_id: str | None, alert_id: str) -> SpendAlert:
    """Raises ProjectNotFound, AlertNotFound."""
    with transaction() as connection:
        return _read(connection, spend_subject(connection, actor, project_id), alert_id)


def list_spend_alerts(actor: Actor, project_id: str | None, page: PageFilter) -> Page[SpendAlert]:
    """Also those that were set by the command. Raises ProjectNotFound."""
    with transaction() as connection:
        query = _alerts(spend_subject(connection, actor, project_id))
        return read_page(connection, query, BudgetAlert.id, page, SpendAlert)


def _read(connection: Connection, subject: Subject, alert_id: str) -> SpendAlert:
    row = connection.execute(_alerts(subject).where(BudgetAlert.id == alert_id)).first()
    if row is None:
        raise _not_found(alert_id)
    return SpendAlert(*row)


def _alerts(subject: Subject) -> Select[*tuple[Any, ...]]:
    """As :class:`SpendAlert` has them."""
    limit = func.coalesce(Budget.hard_usd, Budget.soft_usd)
    of_one = (
        Budget.subject_kind == BudgetAlert.subject_kind,
        Budget.subject_id == BudgetAlert.subject_id,
    )
    return (
        select(
            BudgetAlert.id,
            BudgetAlert.percent,
            func.coalesce(BudgetAlert.amount_usd, limit * BudgetAlert.percent / 100).label("threshold_usd"),
            BudgetAlert.recipients,
            BudgetAlert.subject_prefix,
        )
        .join(Budget, and_(*of_one))
        .where(*_of(subject))
    )


def _of(subject: Subject) -> tuple[ColumnElement[bool], ...]:
    return BudgetAlert.subject_kind == subject.kind.value, BudgetAlert.subject_id == subject.id


def _named(subject: Subject, alert_id: str) -> tuple[ColumnElement[bool], ...]:
    return *_of(subject), BudgetAlert.id == alert_id


def _told(threshold_usd: Decimal, recipients: Sequence[str]) -> dict[str, object]:
    return {"threshold_usd": usd_text(threshold_usd), "recipients": list(recipients)}


def _not_found(alert_id: str) -> AlertNotFound:
    return AlertNotFound(f"There is no spend alert {alert_id!r}.", param="alert_id")

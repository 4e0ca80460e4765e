"""Alerts: which thresholds spending has reached, each noted once a month and taken by those who tell of them.

Crossings are noted by the scheduler, seconds behind the money: in the settling transaction every job would
pay for it, and a crossing that one settlement misses is there at the next look, as amounts stay.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text, update

from tasks import audit
from tasks.actor import OPERATOR
from tasks.budget_subject import Subject, SubjectKind
from tasks.budgets import keep_budget
from tasks.db import transaction
from tasks.errors import AlertNotFound, InvalidRequest
from tasks.ids import new_id
from tasks.models import BudgetAlert, BudgetAlertDue
from tasks.months import THIS_MONTH_SQL

Channel = Literal["announced_at", "mailed_at"]


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """Who wants to know of what."""

    id: str
    subject: Subject
    percent: int | None
    amount_usd: Decimal | None
    recipients: list[str]
    subject_prefix: str | None


@dataclass(frozen=True, slots=True)
class DueAlert:
    """A threshold that has been reached. ``alert`` is the alert's id, or ``soft_limit``."""

    id: int
    subject: Subject
    month: date
    alert: str
    threshold_usd: Decimal
    spent_usd: Decimal
    recipients: list[str]
    subject_prefix: str | None


def add_alert(
    subject: Subject,
    *,
    percent: int | None = None,
    amount_usd: Decimal | None = None,
    recipients: Sequence[str] = (),
    subject_prefix: str | None = None,
) -> str:
    """The alert's id. Its subject's spending is counted from now on, where it was not.

    Raises InvalidRequest, ProjectNotFound, KeyNotFound.
    """
    values = alert_values(percent, amount_usd, recipients, subject_prefix)
    alert_id = new_id("alert")
    with transaction() as connection:
        keep_budget(connection, subject)
        of = {"id": alert_id, "subject_kind": subject.kind.value, "subject_id": subject.id}
        connection.execute(insert(BudgetAlert).values(of | values))
        audit.record(connection, OPERATOR, "spend_alert.created", alert_id, data={"subject": str(subject)})
    return alert_id


def change_alert(
    subject: Subject,
    alert_id: str,
    *,
    percent: int | None = None,
    amount_usd: Decimal | None = None,
    recipients: Sequence[str] = (),
    subject_prefix: str | None = None,
) -> None:
    """Raises InvalidRequest, AlertNotFound."""
    values = alert_values(percent, amount_usd, recipients, subject_prefix)
    with transaction() as connection:
        changed = connection.execute(update(BudgetAlert).where(*_named(subject, alert_id)).values(values))
        if changed.rowcount == 0:
            raise AlertNotFound(f"There is no alert {alert_id!r}.")


def remove_alert(subject: Subject, alert_id: str) -> None:
    """Raises AlertNotFound."""
    with transaction() as connection:
        if connection.execute(delete(BudgetAlert).where(*_named(subject, alert_id))).rowcount == 0:
            raise AlertNotFound(f"There is no alert {alert_id!r}.")


def list_alerts(subject: Subject) -> list[AlertRecord]:
    """A subject's alerts, oldest first."""
    query = select(
        BudgetAlert.id,
        BudgetAlert.percent,
        BudgetAlert.amount_usd,
        BudgetAlert.recipients,
        BudgetAlert.subject_prefix,
    ).where(BudgetAlert.subject_kind == subject.kind.value, BudgetAlert.subject_id == subject.id)
    with transaction() as connection:
        rows = connection.execute(query.order_by(BudgetAlert.id))
        return [
            AlertRecord(row.id, subject, row.percent, row.amount_usd, row.recipients, row.subject_prefix)
            for row in rows
        ]


def alert_values(
    percent: int | None, amount_usd: Decimal | None, recipients: Sequence[str], subject_prefix: str | None
) -> dict[str, object]:
    """An alert as the table has it. Raises InvalidRequest."""
    if (percent is None) == (amount_usd is None):
        raise InvalidRequest("An alert has a percentage or an amount.", param="amount_usd")
    if percent is not None and percent <= 0:
        raise InvalidRequest("A percentage must be more than 0.", param="percent")
    if amount_usd is not None and amount_usd <= 0:
        raise InvalidRequest("An amount must be more than 0.", param="amount_usd")
    for value in (*recipients, subject_prefix or ""):
        # A line break would begin another header of the mail.
        if not value.isprintable():
            raise InvalidRequest("Addresses and prefixes are printable.", param="recipients")
    for address in recipients:
        if "@" not in address or " " in address or not address.isascii():
            raise InvalidRequest(f"{address!r} is no mail address.", param="recipients")
    return {
        "percent": percent,
        "amount_usd": amount_usd,
        "recipients": list(recipients),
        "subject_prefix": subject_prefix,
    }


def note_crossed() -> int:
    """Note thresholds that this month's or last month's spending has reached; returns how many are new."""
    with transaction() as connection:
        return connection.execute(_NOTE).rowcount


@contextmanager
def due(channel: Channel, most: int = 20) -> Iterator[tuple[Connection, list[DueAlert]]]:
    """Take alerts that a channel has yet to tell of, and no other process has in hand.

    They are told of once the block ends well, in the transaction of the connection: what is written to it
    goes together with them. Of a block that fails they are taken again later.
    """
    column = getattr(BudgetAlertDue, channel)
    query = select(*_DUE).where(column.is_(None)).order_by(BudgetAlertDue.id).limit(most)
    with transaction() as connection:
        rows = connection.execute(query.with_for_update(skip_locked=True)).all()
        taken = [
            DueAlert(
                row.id,
                Subject(SubjectKind(row.subject_kind), row.subject_id),
                row.month,
                row.alert,
                row.threshold_usd,
                row.spent_usd,
                row.recipients,
                row.subject_prefix,
            )
            for row in rows
        ]
        yield connection, taken
        told = update(BudgetAlertDue).where(BudgetAlertDue.id.in_([one.id for one in taken]))
        if taken:
            connection.execute(told.values({channel: func.now()}))


def _named(subject: Subject, alert_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        BudgetAlert.id == alert_id,
        BudgetAlert.subject_kind == subject.kind.value,
        BudgetAlert.subject_id == subject.id,
    )


_DUE = (
    BudgetAlertDue.id,
    BudgetAlertDue.subject_kind,
    BudgetAlertDue.subject_id,
    BudgetAlertDue.month,
    BudgetAlertDue.alert,
    BudgetAlertDue.threshold_usd,
    BudgetAlertDue.spent_usd,
    BudgetAlertDue.recipients,
    BudgetAlertDue.subject_prefix,
)
# Last month's too: its jobs may still be running, and count in it.
_NOTE = text(f"""
    INSERT INTO budget_alerts_due
        (subject_kind, subject_id, month, alert, threshold_usd, spent_usd, recipients, subject_prefix)
    SELECT subject_kind, subject_id, month, alert, threshold_usd, spent_usd, recipients, subject_prefix
    FROM (
        SELECT subject_kind, subject_id, 'soft_limit' AS alert, soft_usd AS threshold_usd,
            '{{}}'::text[] AS recipients, NULL AS subject_prefix
        FROM budgets WHERE soft_usd IS NOT NULL
        UNION ALL
        SELECT subject_kind, subject_id, budget_alerts.id,
            coalesce(amount_usd, coalesce(hard_usd, soft_usd) * percent / 100), recipients, subject_prefix
        FROM budget_alerts JOIN budgets USING (subject_kind, subject_id)
    ) AS thresholds JOIN budget_months USING (subject_kind, subject_id)
    WHERE spent_usd >= threshold_usd AND spent_usd > 0
        AND month >= {THIS_MONTH_SQL} - interval '1 month'
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - a constant

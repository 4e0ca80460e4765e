"""Budget alerts as events: told to the webhook endpoints of every project whose spending they count."""

from typing import Any

from tasks import budget_alerts
from tasks.budget_alerts import DueAlert
from tasks.budgets import counted_projects
from tasks.pricing import usd_text
from tasks.webhook_events import EventType, enqueue_event


def announce_due() -> int:
    """Turn alerts that are due into events, each in one transaction with being noted; returns how many."""
    with budget_alerts.due("announced_at") as (connection, alerts):
        for alert in alerts:
            for project_id in counted_projects(connection, alert.subject):
                enqueue_event(connection, project_id, EventType.BUDGET_THRESHOLD_REACHED, _data(alert))
    return len(alerts)


def _data(alert: DueAlert) -> dict[str, Any]:
    return {
        "id": alert.subject.id,
        "subject": alert.subject.kind.value,
        "month": f"{alert.month:%Y-%m}",
        "alert": alert.alert,
        "threshold_usd": usd_text(alert.threshold_usd),
        "spent_usd": usd_text(alert.spent_usd),
    }

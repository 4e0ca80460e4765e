"""Deliveries that are due: taken for a time, and what came of them. The only writer of a try.

A delivery that is taken is due again when the time for a try has run out. So one whose sender dies, before
the request or after it, is sent again under the same event id; ``attempt`` fences what the dead one writes.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from tasks import webhook_endpoints
from tasks.db import transaction
from tasks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tasks.settings import settings
from tasks.webhook_http import Attempt

# After the first try, which is made at once; a little more than a day in all.
DELAYS_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000)
_JITTER = 0.2
_KEPT_ATTEMPTS = 50
_GONE = 410


@dataclass(frozen=True, slots=True)
class DueEndpoint:
    """An endpoint that something is to be sent to."""

    id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class TakenDelivery:
    """A delivery to try now. ``endpoint`` is a row with its address and its secrets."""

    id: str
    endpoint_id: str
    attempt: int
    attempts_before: int
    event_id: str
    body: str
    endpoint: Any


def due_endpoints() -> Sequence[DueEndpoint]:
    """Where something is due, in no order. Raises DatabaseUnavailable."""
    due = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, *_due())
        .correlate(WebhookEndpoint)
        .exists()
    )
    with transaction() as connection:
        rows = connection.execute(select(WebhookEndpoint.id, WebhookEndpoint.project_id).where(due))
        return [DueEndpoint(*row) for row in rows]


def take(endpoint_id: str) -> TakenDelivery | None:
    """What has been due for longest, for as long as a try may take. Raises DatabaseUnavailable."""
    oldest = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == endpoint_id, *_due())
        .order_by(WebhookDelivery.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id == oldest.scalar_subquery())
        .values(attempts=WebhookDelivery.attempts + 1, next_attempt_at=func.now() + _longest_try())
        .returning(
            WebhookDelivery.id,
            WebhookDelivery.endpoint_id,
            WebhookDelivery.attempts,
            WebhookDelivery.attempts_before,
            WebhookDelivery.event_id,
            WebhookDelivery.body,
        )
    )
    columns = (WebhookEndpoint.url, *webhook_endpoints.signing_columns())
    query = select(*columns).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.enabled)
    with transaction() as connection:
        endpoint = connection.execute(query).first()
        if endpoint is None:
            webhook_endpoints.give_up_pending(connection, endpoint_id, "The endpoint is disabled.")
            return None
        row = connection.execute(taken).first()
        return None if row is None else TakenDelivery(*row, endpoint)


def record(taken: TakenDelivery, attempt: Attempt) -> None:
    """Write down how a try went, unless another has taken it since. Raises DatabaseUnavailable."""
    still_ours = [WebhookDelivery.id == taken.id, WebhookDelivery.attempts == taken.attempt]
    if not attempt.delivered:
        # One that was given up meanwhile stays so; one that arrived has arrived all the same.
        still_ours.append(WebhookDelivery.status == "pending")
    statement = update(WebhookDelivery).where(*still_ours).values(_result(taken, attempt))
    with transaction() as connection:
        if attempt.status_code == _GONE:
            webhook_endpoints.lock(connection, taken.endpoint_id)
        if connection.execute(statement).rowcount:
            _log(connection, taken, attempt)
            if attempt.status_code == _GONE:
                webhook_endpoints.disable_gone(connection, taken.endpoint_id)


def delay_seconds(tries: int) -> float | None:
    """How long to wait after so many tries, cut or stretched at random; None when there were enough."""
    if tries > len(DELAYS_SECONDS):
        return None
    return DELAYS_SECONDS[tries - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)


def _result(taken: TakenDelivery, attempt: Attempt) -> dict[str, Any]:
    values = {"last_status_code": attempt.status_code, "last_error": attempt.error}
    if attempt.delivered:
        return {**values, "status": "delivered", "next_attempt_at": None, "delivered_at": func.now()}
    pause_seconds = delay_seconds(taken.attempt - taken.attempts_before)
    if pause_seconds is None or attempt.status_code == _GONE:
        return {**values, "status": "failed", "next_attempt_at": None}
    return {**values, "next_attempt_at": func.now() + timedelta(seconds=pause_seconds)}


def _log(connection: Connection, taken: TakenDelivery, attempt: Attempt) -> None:
    values = {name: getattr(attempt, name) for name in Attempt.__slots__}
    connection.execute(insert(WebhookAttempt).values(delivery_id=taken.id, number=taken.attempt, **values))
    connection.execute(
        delete(WebhookAttempt).where(
            WebhookAttempt.delivery_id == taken.id,
            WebhookAttempt.number <= taken.attempt - _KEPT_ATTEMPTS,
        )
    )


def _due() -> tuple[Any, ...]:
    return (WebhookDelivery.status == "pending", WebhookDelivery.next_attempt_at <= func.now())


def _longest_try() -> timedelta:
    """Looking a name up is not counted in the timeout, and takes at most about half a minute."""
    return timedelta(seconds=settings().webhook_timeout_seconds + 45)

"""Deliveries of webhooks as their project sees them: listed, read and replayed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, or_, select, update

from tasks import webhook_endpoints
from tasks.db import transaction
from tasks.errors import InvalidRequest, WebhookDeliveryNotFound, WebhookEndpointDisabled
from tasks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tasks.settings import settings
from tasks.webhook_http import Attempt

_ERASED_AT_ONCE = 1000
# A transaction that saw an endpoint before it was deleted may still write a delivery for it.
_ENDPOINT_GRACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """An event on its way to an endpoint, or there, or given up."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    body: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    last_status_code: int | None
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    items: list[DeliveryRecord]
    has_more: bool


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """A delivery with its latest tries, the oldest of them first."""

    delivery: DeliveryRecord
    attempts: list[Attempt]


_COLUMNS = tuple(getattr(WebhookDelivery, name) for name in DeliveryRecord.__slots__)
_ATTEMPT_COLUMNS = tuple(getattr(WebhookAttempt, name) for name in Attempt.__slots__)


def list_deliveries(
    project_id: str,
    endpoint_id: str,
    *,
    after: str | None = None,
    limit: int = 20,
    status: str | None = None,
) -> DeliveryPage:
    """A page of what was sent to an endpoint, newest first.

    Raises:
        WebhookEndpointNotFound: also for another project's.
        InvalidRequest: ``after`` names no delivery to this endpoint.
    """
    query = select(*_COLUMNS).where(WebhookDelivery.endpoint_id == endpoint_id)
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    with transaction() as connection:
        webhook_endpoints.read(connection, project_id, endpoint_id)
        if after is not None:
            _check_cursor(connection, endpoint_id, after)
            query = query.where(WebhookDelivery.id < after)
        query = query.order_by(WebhookDelivery.id.desc()).limit(limit + 1)
        rows = connection.execute(query).mappings().all()
    return DeliveryPage([DeliveryRecord(**row) for row in rows[:limit]], has_more=len(rows) > limit)


def get_delivery(project_id: str, endpoint_id: str, delivery_id: str) -> DeliveryLog:
    """Raises WebhookEndpointNotFound, WebhookDeliveryNotFound."""
    with transaction() as connection:
        webhook_endpoints.read(connection, project_id, endpoint_id)
        return DeliveryLog(_read(connection, endpoint_id, delivery_id), _attempts_of(connection, delivery_id))


def replay_delivery(project_id: str, endpoint_id: str, delivery_id: str) -> DeliveryLog:
    """Send the same message again, with all tries before it, whatever has become of it.

    Raises:
        WebhookEndpointNotFound, WebhookDeliveryNotFound: also for another project's.
        WebhookEndpointDisabled: nothing is sent there.
    """
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.id == delivery_id)
        .values(status="pending", next_attempt_at=func.now(), attempts_before=WebhookDelivery.attempts)
        .returning(*_COLUMNS)
    )
    with transaction() as connection:
        if not webhook_endpoints.read(connection, project_id, endpoint_id).enabled:
            raise WebhookEndpointDisabled
        row = connection.execute(statement).mappings().first()
        if row is None:
            raise _not_found(delivery_id)
        return DeliveryLog(DeliveryRecord(**row), _attempts_of(connection, delivery_id))


def forget_old() -> int:
    """Erase deliveries that have been over for long, and deleted endpoints; returns how many of both."""
    old = WebhookDelivery.created_at < func.now() - timedelta(days=settings().webhook_retention_days)
    of_deleted = WebhookDelivery.endpoint_id.in_(
        select(WebhookEndpoint.id).where(WebhookEndpoint.deleted_at.is_not(None))
    )
    some = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.status != "pending", or_(old, of_deleted))
        .limit(_ERASED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    count = 0
    while True:
        with transaction() as connection:
            erased = connection.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(some))).rowcount
        count += erased
        if erased < _ERASED_AT_ONCE:
            return count + _forget_endpoints()


def _forget_endpoints() -> int:
    left = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id == WebhookEndpoint.id).exists()
    statement = delete(WebhookEndpoint).where(
        WebhookEndpoint.deleted_at < func.now() - _ENDPOINT_GRACE, ~left
    )
    with transaction() as connection:
        return connection.execute(statement).rowcount


def _read(connection: Connection, endpoint_id: str, delivery_id: str) -> DeliveryRecord:
    query = select(*_COLUMNS).where(
        WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.id == delivery_id
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _not_found(delivery_id)
    return DeliveryRecord(**row)


def _attempts_of(connection: Connection, delivery_id: str) -> list[Attempt]:
    query = (
        select(*_ATTEMPT_COLUMNS)
        .where(WebhookAttempt.delivery_id == delivery_id)
        .order_by(WebhookAttempt.number)
    )
    return [Attempt(*row) for row in connection.execute(query)]


def _check_cursor(connection: Connection, endpoint_id: str, delivery_id: str) -> None:
    try:
        _read(connection, endpoint_id, delivery_id)
    except WebhookDeliveryNotFound:
        raise InvalidRequest(f"after names no delivery: {delivery_id!r}.", param="after") from None


def _not_found(delivery_id: str) -> WebhookDeliveryNotFound:
    return WebhookDeliveryNotFound(f"There is no delivery {delivery_id!r}.", param="delivery_id")

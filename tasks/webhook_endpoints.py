"""Webhook endpoints: made, read, changed and deleted by their project."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from tasks import sealing, webhook_signing
from tasks.db import transaction
from tasks.errors import InvalidRequest, TooManyWebhookEndpoints, WebhookEndpointNotFound
from tasks.ids import new_id
from tasks.models import Project, WebhookDelivery, WebhookEndpoint

MOST_ENDPOINTS = 20
_OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """An endpoint as its project sees it, without what it signs with."""

    id: str
    project_id: str
    name: str
    url: str
    description: str | None
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    secret_hint: str
    previous_secret_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointWithSecret:
    """An endpoint whose secret is shown this once."""

    endpoint: EndpointRecord
    secret: str


@dataclass(frozen=True, slots=True)
class EndpointPage:
    items: list[EndpointRecord]
    has_more: bool


COLUMNS = tuple(getattr(WebhookEndpoint, name) for name in EndpointRecord.__slots__)


def create_endpoint(project_id: str, values: Mapping[str, Any]) -> EndpointWithSecret:
    """An endpoint with a secret of its own. Raises TooManyWebhookEndpoints."""
    secret = webhook_signing.new_secret()
    statement = insert(WebhookEndpoint).values(
        id=new_id("whe"), project_id=project_id, **values, **_kept(secret)
    )
    with transaction() as connection:
        _check_room(connection, project_id)
        row = connection.execute(statement.returning(*COLUMNS)).mappings().one()
    return EndpointWithSecret(EndpointRecord(**row), secret)


def get_endpoint(project_id: str, endpoint_id: str) -> EndpointRecord:
    """Raises WebhookEndpointNotFound, also for another project's."""
    with transaction() as connection:
        return read(connection, project_id, endpoint_id)


def read(connection: Connection, project_id: str, endpoint_id: str) -> EndpointRecord:
    """As ``get_endpoint``, inside the caller's transaction."""
    query = select(*COLUMNS).where(*visible(project_id), WebhookEndpoint.id == endpoint_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise not_found(endpoint_id)
    return EndpointRecord(**row)


def list_endpoints(project_id: str, after: str | None = None, limit: int = 20) -> EndpointPage:
    """A page of a project's endpoints, newest first. Raises InvalidRequest for an unknown ``after``."""
    query = select(*COLUMNS).where(*visible(project_id))
    with transaction() as connection:
        if after is not None:
            _check_cursor(connection, project_id, after)
            query = query.where(WebhookEndpoint.id < after)
        query = query.order_by(WebhookEndpoint.id.desc()).limit(limit + 1)
        rows = connection.execute(query).mappings().all()
    return EndpointPage([EndpointRecord(**row) for row in rows[:limit]], has_more=len(rows) > limit)


def update_endpoint(project_id: str, endpoint_id: str, values: Mapping[str, Any]) -> EndpointRecord:
    """Change what is named. Whoever disables an endpoint gives up what was on its way there.

    Raises WebhookEndpointNotFound.
    """
    with transaction() as connection:
        before = read(connection, project_id, endpoint_id)
        changes = {name: value for name, value in values.items() if getattr(before, name) != value}
        if not changes:
            return before
        if "enabled" in changes:
            changes["disabled_reason"] = None
        row = _change(connection, project_id, endpoint_id, changes)
        if not row.enabled:
            give_up_pending(connection, endpoint_id, "The endpoint was disabled.")
    return row


def delete_endpoint(project_id: str, endpoint_id: str) -> None:
    """Nothing more is sent there, and its secrets are gone at once. Raises WebhookEndpointNotFound."""
    gone = {"deleted_at": func.now(), "enabled": False, "secret": b"", "previous_secret": None}
    with transaction() as connection:
        _change(connection, project_id, endpoint_id, gone)
        give_up_pending(connection, endpoint_id, "The endpoint was deleted.")


def rotate_secret(project_id: str, endpoint_id: str, *, keep_old: bool) -> EndpointWithSecret:
    """A new secret. The old one signs for another day as well, or not at all any more.

    Raises WebhookEndpointNotFound.
    """
    secret = webhook_signing.new_secret()
    previous = {
        "previous_secret": WebhookEndpoint.secret if keep_old else None,
        "previous_secret_expires_at": func.now() + _OVERLAP if keep_old else None,
    }
    with transaction() as connection:
        row = _change(connection, project_id, endpoint_id, {**previous, **_kept(secret)})
    return EndpointWithSecret(row, secret)


def disable_gone(connection: Connection, endpoint_id: str) -> None:
    """The endpoint says that it is no more."""
    connection.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.enabled)
        .values(enabled=False, disabled_reason="It answered 410 Gone.", updated_at=func.now())
    )
    give_up_pending(connection, endpoint_id, "The endpoint answered 410 Gone to another delivery.")


def give_up_pending(connection: Connection, endpoint_id: str, why: str) -> None:
    """End what is on its way to an endpoint; it can be replayed."""
    lock(connection, endpoint_id)
    connection.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.status == "pending")
        .values(status="failed", next_attempt_at=None, last_error=why)
    )


def lock(connection: Connection, endpoint_id: str) -> None:
    """Before many of its deliveries are changed, so that two who do so can't wait for each other."""
    query = select(WebhookEndpoint.id).where(WebhookEndpoint.id == endpoint_id)
    connection.execute(query.with_for_update(key_share=True))


def visible(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return (WebhookEndpoint.project_id == project_id, WebhookEndpoint.deleted_at.is_(None))


def not_found(endpoint_id: str) -> WebhookEndpointNotFound:
    return WebhookEndpointNotFound(
        f"There is no webhook endpoint {endpoint_id!r}.", param="webhook_endpoint_id"
    )


def signing_columns() -> tuple[ColumnElement[Any], ...]:
    """What ``signing_secrets`` needs of a row."""
    overlaps = func.coalesce(WebhookEndpoint.previous_secret_expires_at > func.now(), False)
    previous = case((overlaps, WebhookEndpoint.previous_secret), else_=None)
    return (WebhookEndpoint.secret.expression, previous.label("previous_secret"))


def signing_secrets(row: Any) -> list[str]:
    """The secrets that sign now, the newest first. Raises SecretUnreadable."""
    sealed = (row.secret, row.previous_secret)
    return [sealing.unseal(bytes(one)) for one in sealed if one is not None]


def _kept(secret: str) -> dict[str, Any]:
    return {"secret": sealing.seal(secret), "secret_hint": webhook_signing.hint(secret)}


def _change(
    connection: Connection, project_id: str, endpoint_id: str, values: Mapping[str, Any]
) -> EndpointRecord:
    statement = (
        update(WebhookEndpoint)
        .where(*visible(project_id), WebhookEndpoint.id == endpoint_id)
        .values(updated_at=func.now(), **values)
        .returning(*COLUMNS)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise not_found(endpoint_id)
    return EndpointRecord(**row)


def _check_room(connection: Connection, project_id: str) -> None:
    """One at a time for each project, so that two can't both be the last that fits."""
    connection.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))
    count = select(func.count()).select_from(WebhookEndpoint).where(*visible(project_id))
    if connection.execute(count).scalar_one() >= MOST_ENDPOINTS:
        raise TooManyWebhookEndpoints(f"A project may have {MOST_ENDPOINTS} webhook endpoints.")


def _check_cursor(connection: Connection, project_id: str, endpoint_id: str) -> None:
    query = select(WebhookEndpoint.id).where(
        WebhookEndpoint.project_id == project_id, WebhookEndpoint.id == endpoint_id
    )
    if connection.execute(query).first() is None:
        raise InvalidRequest(f"after names no webhook endpoint: {endpoint_id!r}.", param="after")

"""A message to an endpoint: signed for the moment it is sent, and one to try an endpoint out with."""

import time
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import select

from tasks import webhook_endpoints, webhook_signing, webhook_urls
from tasks.db import transaction
from tasks.errors import SecretUnreadable, WebhookUnreachable
from tasks.ids import new_id
from tasks.models import WebhookEndpoint
from tasks.webhook_events import Event, EventType
from tasks.webhook_http import Attempt, Sender

_SAMPLE_PREFIXES = {"response": "resp", "batch": "batch", "job": "job", "budget": "budget"}

log = structlog.get_logger(__name__)


def send(sender: Sender, endpoint: Any, event_id: str, body: str) -> Attempt:
    """One try. ``endpoint`` is a row with its address and its secrets.

    What keeps the message from being sent at all is an error as any other: it may pass.
    """
    try:
        target = webhook_urls.parse(endpoint.url)
        signing_secrets = webhook_endpoints.signing_secrets(endpoint)
    except ValueError as error:
        return Attempt(datetime.now(UTC), 0, None, f"The URL {error}.")
    except SecretUnreadable:
        log.exception("secret unreadable", action="deliver_webhook", event_id=event_id)
        return Attempt(datetime.now(UTC), 0, None, "The signing secret can't be read; rotate it.")
    headers = webhook_signing.headers(
        signing_secrets, event_id=event_id, sent_at_unix=int(time.time()), body=body
    )
    return sender.send(target, body, headers)


def send_sample(project_id: str, endpoint_id: str, event_type: EventType) -> int:
    """Send an endpoint an event of this type about nothing, now and once; returns the status it answers.

    Raises:
        WebhookEndpointNotFound: also for another project's.
        WebhookUnreachable: there was no answer.
    """
    columns = (WebhookEndpoint.url, *webhook_endpoints.signing_columns())
    query = select(*columns).where(*webhook_endpoints.visible(project_id), WebhookEndpoint.id == endpoint_id)
    with transaction() as connection:
        endpoint = connection.execute(query).first()
    if endpoint is None:
        raise webhook_endpoints.not_found(endpoint_id)
    named = new_id(_SAMPLE_PREFIXES[event_type.partition(".")[0]])
    event = Event(project_id, event_type, {"id": named})
    attempt = send(Sender(), endpoint, event.id, event.body)
    if attempt.status_code is None:
        raise WebhookUnreachable(attempt.error)
    return attempt.status_code

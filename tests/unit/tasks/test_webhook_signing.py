"""Signatures, judged by OpenAI's own client."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from tasks import webhook_signing
from tasks.webhook_events import Event, EventType

EVENT = Event("proj_1", EventType.RESPONSE_COMPLETED, {"id": "resp_1"})


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with OpenAI(api_key="unused") as made:
        yield made


def headers(*secrets: str, event: Event = EVENT, seconds_ago: int = 0) -> dict[str, str]:
    sent_at = int(time.time()) - seconds_ago
    return webhook_signing.headers(secrets, event_id=event.id, sent_at_unix=sent_at, body=event.body)


def test_the_sdk_accepts_what_is_signed(client: OpenAI) -> None:
    secret = webhook_signing.new_secret()
    event = client.webhooks.unwrap(EVENT.body, headers(secret), secret=secret)
    assert event.type == "response.completed"
    assert (event.id, event.data.id, event.object) == (EVENT.id, "resp_1", "event")


@pytest.mark.parametrize("event_type", list(EventType))
def test_the_sdk_reads_events_of_every_type(client: OpenAI, event_type: EventType) -> None:
    secret, event = webhook_signing.new_secret(), Event("proj_1", event_type, {"id": "x"})
    told: Any = client.webhooks.unwrap(event.body, headers(secret, event=event), secret=secret)
    assert (told.type, told.created_at) == (event_type.value, event.created_at_unix)


def test_during_an_overlap_either_secret_will_do(client: OpenAI) -> None:
    new, old = webhook_signing.new_secret(), webhook_signing.new_secret()
    sent = headers(new, old)
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        client.webhooks.verify_signature(EVENT.body, sent, secret=secret)


def test_body_that_was_tampered_with_is_refused(client: OpenAI) -> None:
    secret = webhook_signing.new_secret()
    tampered = EVENT.body.replace("resp_1", "resp_2")
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.unwrap(tampered, headers(secret), secret=secret)


def test_message_under_another_id_is_refused(client: OpenAI) -> None:
    secret = webhook_signing.new_secret()
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.unwrap(EVENT.body, {**headers(secret), "webhook-id": "evt_2"}, secret=secret)


def test_message_that_was_signed_long_ago_is_refused(client: OpenAI) -> None:
    secret = webhook_signing.new_secret()
    with pytest.raises(InvalidWebhookSignatureError, match="too old"):
        client.webhooks.unwrap(EVENT.body, headers(secret, seconds_ago=400), secret=secret)


def test_hint_holds_next_to_nothing_of_the_secret() -> None:
    secret = webhook_signing.new_secret()
    assert webhook_signing.hint(secret) == f"whsec_…{secret[-4:]}"
    assert webhook_signing.new_secret() != secret


def test_body_is_json_as_the_standard_wants_it() -> None:
    assert json.loads(EVENT.body) == {
        "id": EVENT.id,
        "object": "event",
        "type": "response.completed",
        "created_at": EVENT.created_at_unix,
        "data": {"id": "resp_1"},
    }

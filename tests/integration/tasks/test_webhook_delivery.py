"""Deliveries: each arrives at least once, whatever dies, and none holds up another."""

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from openai import OpenAI

from tasks import circuit, webhook_deliveries, webhook_delivery, webhook_endpoints, webhook_queue
from tasks.app import app
from tasks.errors import WebhookDeliveryNotFound, WebhookEndpointDisabled, WebhookEndpointNotFound
from tasks.keys import Principal
from tasks.scheduler import run_entry
from tasks.settings import settings
from tasks.webhook_delivery import Deliverer
from tests.integration.tasks.batch_work import change, one
from tests.integration.tasks.webhook_work import WebhookWork
from tests.services.platform import REPOSITORY
from tests.unit.tasks.webhook_receiver import Receiver, receiving, status, wait_then

DIES_BEFORE_ITS_COMMIT = """
import os
from tasks import webhook_queue
from tasks.webhook_delivery import Deliverer

webhook_queue.record = lambda *_: os._exit(9)
deliverer = Deliverer()
deliverer.start_due()
deliverer.wait(30)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true")
    settings.cache_clear()


@pytest.fixture
def work(principal: Principal, receiver: Receiver) -> WebhookWork:
    return WebhookWork(principal.project_id, receiver.url)


def test_event_is_delivered_signed_and_logged(work: WebhookWork, receiver: Receiver) -> None:
    made = work.endpoint()
    work.tell()
    work.deliver()
    (received,) = receiver.received
    with OpenAI(api_key="unused") as client:
        event = client.webhooks.unwrap(received.body, received.headers, secret=made.secret)
    log = work.log(made.endpoint.id)
    assert event.id == received.event_id == log.delivery.event_id
    assert (log.delivery.status, log.delivery.attempts, log.delivery.last_status_code) == (
        "delivered",
        1,
        204,
    )
    assert log.delivery.delivered_at is not None
    assert [(attempt.status_code, attempt.error) for attempt in log.attempts] == [(204, None)]
    work.deliver()
    assert len(receiver.received) == 1


def test_failure_is_tried_again_under_the_same_id_and_logged(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    receiver.answers = [status(500), status(204)]
    work.tell()
    work.deliver()
    waiting = work.log(endpoint.id)
    assert (waiting.delivery.status, waiting.delivery.last_status_code) == ("pending", 500)
    assert waiting.delivery.next_attempt_at is not None
    assert 0 < (waiting.delivery.next_attempt_at - datetime.now(UTC)).total_seconds() < 7
    work.deliver()
    assert len(receiver.received) == 1
    work.hurry()
    work.deliver()
    done = work.log(endpoint.id)
    assert (done.delivery.status, done.delivery.last_error) == ("delivered", None)
    assert [attempt.status_code for attempt in done.attempts] == [500, 204]
    assert len({received.event_id for received in receiver.received}) == 1


def test_pauses_grow_to_a_day_and_are_never_the_same() -> None:
    rounds = [[webhook_queue.delay_seconds(tries) for tries in range(1, 11)] for _ in range(2)]
    for pauses in rounds:
        known = [pause for pause in pauses if pause is not None]
        assert len(known) == 10
        assert all(later > earlier for earlier, later in itertools.pairwise(known))
        assert 0.75 * 86_400 < sum(known) < 1.25 * 86_400
    assert rounds[0] != rounds[1]
    assert webhook_queue.delay_seconds(11) is None


def test_delivery_that_never_arrives_is_given_up(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    receiver.answers = [status(503)]
    work.tell()
    change("UPDATE webhook_deliveries SET attempts = 10")
    work.deliver()
    log = work.log(endpoint.id)
    assert (log.delivery.status, log.delivery.attempts, log.delivery.next_attempt_at) == ("failed", 11, None)


def test_process_killed_between_sending_and_its_commit_sends_again(
    work: WebhookWork, receiver: Receiver, database_url: str
) -> None:
    endpoint = work.endpoint().endpoint
    work.tell()
    died = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_ITS_COMMIT],
        cwd=REPOSITORY,
        env={
            "DATABASE_URL": database_url,
            "TOKENMILL_WEBHOOK_ALLOW_HTTP": "true",
            "TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true",
        },
        timeout=60,
        check=False,
    )
    assert died.returncode == 9
    taken = work.log(endpoint.id)
    assert (len(receiver.received), taken.delivery.status, taken.attempts) == (1, "pending", [])
    work.deliver()
    assert len(receiver.received) == 1
    work.hurry()
    work.deliver()
    first, second = receiver.received
    assert (first.event_id, first.body) == (second.event_id, second.body)
    assert work.log(endpoint.id).delivery.status == "delivered"


def test_sender_that_was_taken_for_dead_changes_nothing(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    work.tell()
    late = webhook_queue.take(endpoint.id)
    assert late is not None
    work.hurry()
    work.deliver()
    attempt = work.log(endpoint.id).attempts[0]
    webhook_queue.record(late, attempt)
    assert len(work.log(endpoint.id).attempts) == 1


def test_two_schedulers_send_everything_once(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    for number in range(40):
        work.tell(named=f"job_{number}")
    deliverers = [Deliverer(), Deliverer()]
    for deliverer in deliverers * 3:
        deliverer.start_due()
    assert all(deliverer.wait(30) for deliverer in deliverers)
    assert Counter(received.event_id for received in receiver.received) == {
        delivery.event_id: 1 for delivery in work.deliveries(endpoint.id)
    }
    assert {delivery.status for delivery in work.deliveries(endpoint.id)} == {"delivered"}


def test_slow_receiver_holds_up_nobody_else(work: WebhookWork, receiver: Receiver) -> None:
    free = threading.Event()

    with receiving() as quick:
        receiver.answers = [wait_then(free)]
        slow = work.endpoint(event_types=["job.failed"]).endpoint
        work.endpoint(url=quick.url, event_types=["job.completed"])
        for number in range(12):
            work.tell("job.failed", f"job_{number}")
        for _ in range(8):
            work.deliverer.start_due()
        receiver.wait_for(4)
        for number in range(5):
            work.tell("job.completed", f"job_{number}")
        work.deliverer.start_due()
        quick.wait_for(5)
        assert len(receiver.received) == 4
        webhook_endpoints.delete_endpoint(work.project_id, slow.id)
        free.set()
        assert work.deliverer.wait(30)


def test_one_project_takes_a_share_of_the_threads(
    work: WebhookWork, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_WEBHOOK_CONCURRENCY", "8")
    settings.cache_clear()
    free = threading.Event()
    receiver.answers = [wait_then(free)]
    for _ in range(5):
        work.endpoint()
    work.tell()
    started = sum(work.deliverer.start_due() for _ in range(3))
    free.set()
    assert work.deliverer.wait(30)
    assert started == 2


def test_endpoint_that_is_gone_is_disabled_with_all_that_was_for_it(
    work: WebhookWork, receiver: Receiver
) -> None:
    endpoint = work.endpoint().endpoint
    receiver.answers = [status(410)]
    for number in range(3):
        work.tell(named=f"job_{number}")
    change(
        "UPDATE webhook_deliveries SET next_attempt_at = next_attempt_at + interval '1 h' WHERE attempts = 0"
    )
    change(
        "UPDATE webhook_deliveries SET next_attempt_at = now()"
        " WHERE id = (SELECT min(id) FROM webhook_deliveries)"
    )
    work.deliver()
    found = webhook_endpoints.get_endpoint(work.project_id, endpoint.id)
    assert (found.enabled, found.disabled_reason) == (False, "It answered 410 Gone.")
    assert [delivery.status for delivery in work.deliveries(endpoint.id)] == ["failed"] * 3
    work.tell()
    assert len(work.deliveries(endpoint.id)) == 3


def test_endpoint_deleted_while_it_is_being_told_leaves_nothing(
    work: WebhookWork, receiver: Receiver
) -> None:
    endpoint = work.endpoint().endpoint
    free = threading.Event()
    receiver.answers = [wait_then(free, 500)]
    work.tell()
    work.deliverer.start_due()
    receiver.wait_for(1)
    webhook_endpoints.delete_endpoint(work.project_id, endpoint.id)
    free.set()
    assert work.deliverer.wait(20)
    with pytest.raises(WebhookEndpointNotFound):
        work.deliveries(endpoint.id)
    assert one("SELECT status FROM webhook_deliveries") == "failed"
    assert one("SELECT octet_length(secret) FROM webhook_endpoints") == 0
    change("UPDATE webhook_endpoints SET deleted_at = now() - interval '2 h'")
    assert webhook_deliveries.forget_old() == 2
    assert one("SELECT count(*) FROM webhook_endpoints") == 0


def test_host_that_can_not_be_reached_is_left_alone_for_a_while(
    work: WebhookWork, receiver: Receiver
) -> None:
    receiver.close()
    endpoint = work.endpoint().endpoint
    for number in range(8):
        work.tell(named=f"job_{number}")
    work.deliver()
    errors = Counter(delivery.last_error for delivery in work.deliveries(endpoint.id))
    left_alone = errors.pop("Not sent: the host could not be reached a moment ago.")
    assert left_alone == 3
    assert {delivery.status for delivery in work.deliveries(endpoint.id)} == {"pending"}
    assert circuit.states()["webhooks"]


def test_old_deliveries_are_forgotten_and_pending_ones_kept(work: WebhookWork) -> None:
    endpoint = work.endpoint().endpoint
    for number in range(3):
        work.tell(named=f"job_{number}")
        if number == 0:
            work.deliver()
    change("UPDATE webhook_deliveries SET created_at = now() - interval '31 days'")
    assert webhook_deliveries.forget_old() == 1
    assert [delivery.status for delivery in work.deliveries(endpoint.id)] == ["pending", "pending"]


def test_delivery_is_replayed_with_all_its_tries(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    work.tell()
    work.deliver()
    delivery = work.log(endpoint.id).delivery
    change("UPDATE webhook_deliveries SET attempts = 11")
    replayed = webhook_deliveries.replay_delivery(work.project_id, endpoint.id, delivery.id)
    assert replayed.delivery.status == "pending"
    receiver.answers = [status(500), status(200)]
    work.deliver()
    assert work.log(endpoint.id).delivery.status == "pending"
    work.hurry()
    work.deliver()
    log = work.log(endpoint.id)
    assert (log.delivery.status, len(log.attempts)) == ("delivered", 3)
    assert len({received.event_id for received in receiver.received}) == 1


def test_nothing_is_replayed_to_a_disabled_endpoint_or_from_another(work: WebhookWork) -> None:
    endpoint, other = work.endpoint().endpoint, work.endpoint(event_types=["job.failed"]).endpoint
    work.tell()
    delivery = work.log(endpoint.id).delivery
    with pytest.raises(WebhookDeliveryNotFound):
        webhook_deliveries.replay_delivery(work.project_id, other.id, delivery.id)
    webhook_endpoints.update_endpoint(work.project_id, endpoint.id, {"enabled": False})
    assert work.log(endpoint.id).delivery.last_error == "The endpoint was disabled."
    with pytest.raises(WebhookEndpointDisabled):
        webhook_deliveries.replay_delivery(work.project_id, endpoint.id, delivery.id)


def test_both_secrets_sign_during_an_overlap_and_one_after_it(work: WebhookWork, receiver: Receiver) -> None:
    made = work.endpoint()
    rotated = webhook_endpoints.rotate_secret(work.project_id, made.endpoint.id, keep_old=True)
    work.tell()
    work.deliver()
    change("UPDATE webhook_endpoints SET previous_secret_expires_at = now()")
    work.tell()
    work.deliver()
    during, after = receiver.received
    with OpenAI(api_key="unused") as client:
        for secret in (made.secret, rotated.secret):
            client.webhooks.verify_signature(during.body, during.headers, secret=secret)
        client.webhooks.verify_signature(after.body, after.headers, secret=rotated.secret)
    assert len(after.headers["webhook-signature"].split()) == 1


def test_secret_that_cannot_be_read_delays_what_it_signs(
    work: WebhookWork, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    settings.cache_clear()
    endpoint = work.endpoint().endpoint
    monkeypatch.setenv("TOKENMILL_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    settings.cache_clear()
    work.tell()
    work.deliver()
    log = work.log(endpoint.id)
    assert (log.delivery.status, log.delivery.last_error) == (
        "pending",
        "The signing secret can't be read; rotate it.",
    )
    webhook_endpoints.rotate_secret(work.project_id, endpoint.id, keep_old=False)
    work.hurry()
    work.deliver()
    assert work.log(endpoint.id).delivery.status == "delivered"


def test_address_that_is_allowed_no_more_is_not_sent_to(
    work: WebhookWork, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = work.endpoint().endpoint
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "false")
    settings.cache_clear()
    work.tell()
    work.deliver()
    assert (
        work.log(endpoint.id).delivery.last_error == "The URL must not lead to an address that is not public."
    )
    assert receiver.received == []


def test_log_of_tries_is_bounded(work: WebhookWork, receiver: Receiver) -> None:
    endpoint = work.endpoint().endpoint
    receiver.answers = [status(500)]
    work.tell()
    work.deliver()
    change("UPDATE webhook_deliveries SET attempts = 60, attempts_before = 60, next_attempt_at = now()")
    work.deliver()
    assert len(work.log(endpoint.id).attempts) == 1


def test_round_with_nothing_to_do_is_quick(work: WebhookWork) -> None:
    work.endpoint()
    begun = time.monotonic()
    assert work.deliverer.start_due() == 0
    assert time.monotonic() - begun < 1


def test_schedulers_timetable_delivers(work: WebhookWork, receiver: Receiver) -> None:
    entries = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert "tasks.maintenance.deliver_webhooks" in entries
    work.endpoint()
    work.tell()
    run_entry("tasks.maintenance.deliver_webhooks")
    receiver.wait_for(1)
    assert webhook_delivery._deliverer().wait(20)

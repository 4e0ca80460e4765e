"""Sending what is due: a few threads for each endpoint, so that a slow one holds up nothing but itself."""

import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import structlog

from tasks import webhook_message, webhook_queue
from tasks.circuit import circuit_of
from tasks.errors import DatabaseUnavailable
from tasks.settings import settings
from tasks.webhook_http import Attempt, Sender
from tasks.webhook_queue import DueEndpoint, TakenDelivery

_MOST_PER_ENDPOINT = 4
# Of the threads: what one project may take, however many endpoints it has.
_SHARE_OF_A_PROJECT = 4
# Then others get a turn.
_TURN_SECONDS = 20.0
# A host that could not be reached so often in a row is not tried for a while: what is due for it has failed.
_FAILURES_IN_A_ROW = 5
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Deliverer:
    """The threads that send. They are daemons: whatever a stop cuts off is due again before long."""

    def __init__(self, sender: Sender | None = None) -> None:
        self._sender = sender or Sender()
        self._changed = threading.Condition()
        self._by_endpoint: Counter[str] = Counter()
        self._by_project: Counter[str] = Counter()

    def start_due(self) -> int:
        """Give each endpoint that something is due for another thread, where it may have one.

        Returns how many threads were started. Raises DatabaseUnavailable.
        """
        due = list(webhook_queue.due_endpoints())
        random.shuffle(due)
        return sum(self._start(endpoint) for endpoint in due)

    def wait(self, seconds: float) -> bool:
        """Whether nothing is being sent any more, after so long at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._by_endpoint.total(), seconds)

    def _start(self, endpoint: DueEndpoint) -> bool:
        most = settings().webhook_concurrency
        with self._changed:
            full = (
                self._by_endpoint.total() >= most
                or self._by_endpoint[endpoint.id] >= _MOST_PER_ENDPOINT
                or self._by_project[endpoint.project_id] >= max(1, most // _SHARE_OF_A_PROJECT)
            )
            if full:
                return False
            self._count(endpoint, 1)
        threading.Thread(
            target=self._turn, args=(endpoint,), name=f"webhooks-{endpoint.id}", daemon=True
        ).start()
        return True

    def _turn(self, endpoint: DueEndpoint) -> None:
        until = time.monotonic() + _TURN_SECONDS
        try:
            while time.monotonic() < until and (taken := webhook_queue.take(endpoint.id)) is not None:
                attempt = self._send(endpoint.project_id, taken)
                webhook_queue.record(taken, attempt)
                _tell(taken, attempt)
        except DatabaseUnavailable as error:
            log.warning("deliveries deferred", action="deliver_webhooks", error=error.message)
        except Exception:
            log.exception("deliveries failed", action="deliver_webhooks", endpoint_id=endpoint.id)
        finally:
            with self._changed:
                self._count(endpoint, -1)
                self._changed.notify_all()

    def _send(self, project_id: str, taken: TakenDelivery) -> Attempt:
        # A circuit for each project: what one sends to a host that many use is not to stop the others.
        circuit = circuit_of(
            "webhooks",
            f"{project_id} {urlsplit(taken.endpoint.url).netloc}",
            failures=_FAILURES_IN_A_ROW,
            first_seconds=_FIRST_PAUSE_SECONDS,
            most_seconds=_LONGEST_PAUSE_SECONDS,
        )
        if not circuit.allows():
            return Attempt(
                datetime.now(UTC), 0, None, "Not sent: the host could not be reached a moment ago."
            )
        attempt = webhook_message.send(self._sender, taken.endpoint, taken.event_id, taken.body)
        if attempt.status_code is None:
            circuit.failed()
        else:
            circuit.succeeded()
        return attempt

    def _count(self, endpoint: DueEndpoint, change: int) -> None:
        for counter, key in ((self._by_endpoint, endpoint.id), (self._by_project, endpoint.project_id)):
            counter[key] += change
            if not counter[key]:
                del counter[key]


def deliver_due() -> int:
    """One round of this process. Raises DatabaseUnavailable."""
    return _deliverer().start_due()


def _tell(taken: TakenDelivery, attempt: Attempt) -> None:
    log.info(
        "webhook delivered" if attempt.delivered else "webhook not delivered",
        action="deliver_webhook",
        delivery_id=taken.id,
        endpoint_id=taken.endpoint_id,
        attempt=taken.attempt,
        status_code=attempt.status_code,
        duration_ms=attempt.duration_ms,
    )


@cache
def _deliverer() -> Deliverer:
    return Deliverer()

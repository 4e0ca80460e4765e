"""News that nobody must rely on: who ended, who is to be cancelled, who listens to whom. Everything here
is also in Postgres.

One fanout exchange; every process that listens has a queue of its own that dies with it. Where the whole
platform is one process, news is handed over without a broker.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from uuid import uuid4

import structlog
from kombu import Connection, Consumer, Exchange, Message, Queue

from tasks.app import app
from tasks.backoff import Backoff
from tasks.broker import BrokerLeftAlone, broker_errors, guarded, in_memory
from tasks.errors import BrokerUnavailable
from tasks.settings import settings

ENDED = "ended"
CANCEL = "cancel"
LISTEN = "listen"
UNLISTEN = "unlisten"

_HEARTBEAT_SECONDS = 20
# A broker that is short of memory takes nothing from those who publish, and tells them nothing either.
_SEND_TIMEOUT_SECONDS = 2.0

log = structlog.get_logger(__name__)

EventHandler = Callable[[str, list[str], str | None], None]
"""Called with the kind, the jobs and, for those two kinds, the name of the listener's queue."""

_handlers: set[EventHandler] = set()
"""Those of this process, where it is the whole platform."""


def _exchange() -> Exchange:
    return Exchange(
        f"{settings().queue_prefix}.events", type="fanout", durable=True, delivery_mode="transient"
    )


def publish(kind: str, job_ids: Sequence[str], listener: str | None = None) -> None:
    """Tell whoever listens; a broker that is away is only logged, for listeners also look by themselves."""
    if not job_ids:
        return
    if in_memory():
        _hand_over(kind, list(job_ids), listener)
        return
    try:
        with guarded(), app.producer_pool.acquire(block=True, timeout=1) as producer:
            try:
                producer.publish(
                    {"kind": kind, "job_ids": list(job_ids), "listener": listener},
                    exchange=_exchange(),
                    declare=[_exchange()],
                    serializer="json",
                    retry=False,
                    timeout=_SEND_TIMEOUT_SECONDS,
                    confirm_timeout=_SEND_TIMEOUT_SECONDS,
                )
            except TimeoutError:
                # In good order its end would wait for an answer as well.
                producer.connection.collect()
                raise
    except BrokerLeftAlone:
        log.debug("event not published", action="event_lost", kind=kind)
    except BrokerUnavailable as error:
        log.warning("event not published", action="event_lost", kind=kind, error=error.message)


def _hand_over(kind: str, job_ids: list[str], listener: str | None) -> None:
    for handler in list(_handlers):
        try:
            handler(kind, job_ids, listener)
        except Exception:
            log.exception("event handler failed", action="event_handler_failed", kind=kind)


class EventListener:
    """A thread that hands events to a handler and outlives the broker."""

    def __init__(self, handler: EventHandler) -> None:
        self._handler = handler
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenmill-events", daemon=True)

    def start(self) -> None:
        if in_memory():
            _handlers.add(self._handler)
        else:
            self._thread.start()

    def stop(self) -> None:
        _handlers.discard(self._handler)
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                with broker_errors(), app.connection_for_read(heartbeat=_HEARTBEAT_SECONDS) as connection:
                    connection.connect()
                    backoff = Backoff()
                    self._listen(connection)
            except BrokerUnavailable as error:
                log.warning(
                    "event listener lost the broker", action="event_listener_lost", error=error.message
                )
                self._stopping.wait(backoff.next_seconds())
            except Exception:
                log.exception("event listener failed", action="event_listener_failed")
                self._stopping.wait(backoff.next_seconds())

    def _listen(self, connection: Connection) -> None:
        name = f"{settings().queue_prefix}.events.{uuid4().hex}"
        queue = Queue(name, _exchange(), durable=False, exclusive=True, auto_delete=True)
        with Consumer(connection, [queue], callbacks=[self._receive], accept=["json"], no_ack=True):
            checked_at = monotonic()
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=1)
                if connection.supports_heartbeats and monotonic() - checked_at >= 1:
                    connection.heartbeat_check()
                    checked_at = monotonic()

    def _receive(self, body: dict[str, object], message: Message) -> None:
        kind, job_ids, listener = body.get("kind"), body.get("job_ids"), body.get("listener")
        if isinstance(kind, str) and isinstance(job_ids, list):
            self._handler(
                kind, [str(job_id) for job_id in job_ids], None if listener is None else str(listener)
            )

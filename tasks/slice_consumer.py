"""Takes slices of batches from their queue, each when there is room for it and no sooner.

Celery's pool has one stock of threads for all its queues, in which slices that wait for room would keep
out the jobs of those who wait for an answer. So this is a consumer of its own, with one thread.
"""

import threading
from contextlib import suppress
from time import monotonic
from typing import Protocol

import structlog
from kombu import Connection, Consumer, Message, Queue

from tasks.backoff import Backoff
from tasks.broker import broker_errors
from tasks.errors import BrokerUnavailable

# Lines that wait in the engine behind those that run, so that a freed slot finds the next at once.
_LINES_BEHIND = 64
_HEARTBEAT_SECONDS = 20
_IDLE_SECONDS = 1.0
_ROOM_SECONDS = 0.01

log = structlog.get_logger(__name__)


class SliceRunner(Protocol):
    """What is needed of `JobRunner`."""

    @property
    def leaving(self) -> bool: ...

    def lines_running(self) -> int: ...

    def run_slice(self, slice_id: str) -> int: ...


class Hatch:
    """Decides when a slice may enter: while few lines run, or, for one that is to be alone, none."""

    def __init__(self, slots: int) -> None:
        self._most = slots + _LINES_BEHIND
        self._alone = False

    def opens(self, lines_running: int, *, alone: bool) -> bool:
        """Whether there is room. A slice that runs alone keeps all others out."""
        if lines_running == 0:
            return True
        return not (alone or self._alone) and lines_running < self._most

    def entered(self, *, alone: bool) -> None:
        """The slice has been let in."""
        self._alone = alone


class SliceConsumer:
    """A thread that outlives the broker; it holds one message at a time, until its lines are claimed."""

    def __init__(self, queue: Queue, runner: SliceRunner, slots: int) -> None:
        self._queue = queue
        self._runner = runner
        self._hatch = Hatch(slots)
        self._held: tuple[str, bool, Message] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenmill-slices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        # Imported here: the app's configuration needs the queues.
        from tasks.app import app

        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                with broker_errors(), app.connection_for_read(heartbeat=_HEARTBEAT_SECONDS) as connection:
                    connection.connect()
                    backoff = Backoff()
                    self._consume(connection)
            except BrokerUnavailable as error:
                log.warning("slices lost the broker", action="slices_deferred", error=error.message)
                self._stopping.wait(backoff.next_seconds())
            except Exception:
                log.exception("slices failed", action="slices_failed")
                self._stopping.wait(backoff.next_seconds())

    def _consume(self, connection: Connection) -> None:
        # What was held came by a connection that is gone; the broker sends it again.
        self._held = None
        consumer = Consumer(connection, [self._queue], callbacks=[self._hold], accept=["json"])
        consumer.qos(prefetch_count=1)
        with consumer:
            checked_at = monotonic()
            while not self._stopping.is_set() and not self._runner.leaving:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_IDLE_SECONDS if self._held is None else _ROOM_SECONDS)
                if connection.supports_heartbeats and monotonic() - checked_at >= 1:
                    connection.heartbeat_check()
                    checked_at = monotonic()
                self._let_in()
        self._stopping.wait(_IDLE_SECONDS)

    def _hold(self, body: dict[str, object], message: Message) -> None:
        self._held = str(body.get("slice_id")), bool(body.get("alone")), message

    def _let_in(self) -> None:
        if self._held is None:
            return
        slice_id, alone, message = self._held
        if not self._hatch.opens(self._runner.lines_running(), alone=alone):
            return
        if self._runner.run_slice(slice_id):
            self._hatch.entered(alone=alone)
        if not self._runner.leaving:
            message.ack()
        self._held = None

"""The web's side of streams: one queue per process, and everybody in it who listens to a job."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Protocol
from uuid import uuid4

import structlog
from amqp.exceptions import ResourceLocked
from kombu import Connection, Consumer, Message

from tasks import streams
from tasks.backoff import Backoff
from tasks.broker import broker_errors, in_memory
from tasks.errors import BrokerUnavailable
from tasks.settings import settings
from tasks.streams import Tokens

_HEARTBEAT_SECONDS = 20
_READY_WITHIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class TokenListener(Protocol):
    """One who follows a job; called by the hub's thread, so it must be quick."""

    def receive(self, tokens: Tokens) -> None: ...

    def miss(self) -> None:
        """Tokens may have been lost."""


class StreamHub:
    """Hands tokens to the listeners of their job. ``address`` is what a worker has to be told.

    Its queue has the same name for as long as the process lives, also when the broker was away.
    """

    def __init__(self) -> None:
        self.address = f"{settings().queue_prefix}.streams.{uuid4().hex}"
        self._lock = threading.Lock()
        self._listeners: defaultdict[str, set[TokenListener]] = defaultdict(set)
        self._ready = threading.Event()

    def start(self) -> None:
        """Returns once the queue is there, or when that takes too long."""
        streams.receivers[self.address] = self.receive
        if not in_memory():
            threading.Thread(target=self._run, name="tokenmill-stream-hub", daemon=True).start()
            self._ready.wait(_READY_WITHIN_SECONDS)

    def enter(self, job_id: str, listener: TokenListener) -> None:
        with self._lock:
            self._listeners[job_id].add(listener)

    def leave(self, job_id: str, listener: TokenListener) -> bool:
        """Whether nobody in this process listens to the job any more."""
        with self._lock:
            self._listeners[job_id].discard(listener)
            if self._listeners[job_id]:
                return False
            del self._listeners[job_id]
            return True

    def receive(self, batch: Sequence[Tokens]) -> None:
        for tokens in batch:
            for listener in self._of(tokens.job_id):
                listener.receive(tokens)

    def _of(self, job_id: str) -> list[TokenListener]:
        with self._lock:
            return list(self._listeners.get(job_id, ()))

    def _run(self) -> None:
        from tasks.app import app

        backoff = Backoff(most_seconds=1.0)
        while True:
            try:
                with broker_errors(), app.connection_for_read(heartbeat=_HEARTBEAT_SECONDS) as connection:
                    connection.connect()
                    self._listen(connection)
            except BrokerUnavailable as error:
                log.warning("streams lost the broker", action="stream_hub_lost", error=error.message)
            except ResourceLocked:
                log.warning("the broker still holds the last connection", action="stream_hub_locked")
            except Exception:
                log.exception("stream hub failed", action="stream_hub_failed")
            if self._ready.is_set():
                backoff = Backoff(most_seconds=1.0)
                self._ready.clear()
            backoff.sleep()

    def _listen(self, connection: Connection) -> None:
        queue = streams.queue_named(self.address)
        with Consumer(connection, [queue], on_message=self._take, no_ack=True, auto_declare=True):
            self._ready.set()
            self._tell_of_loss()
            checked_at = monotonic()
            while True:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=1)
                if connection.supports_heartbeats and monotonic() - checked_at >= 1:
                    connection.heartbeat_check()
                    checked_at = monotonic()

    def _take(self, message: Message) -> None:
        try:
            self.receive(streams.decode(message.body))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not a stream message", action="stream_message_bad", error=type(error).__name__)

    def _tell_of_loss(self) -> None:
        """Whatever came while the queue was away went nowhere."""
        with self._lock:
            everybody = [listener for listeners in self._listeners.values() for listener in listeners]
        for listener in everybody:
            listener.miss()


_hub: StreamHub | None = None
_hub_lock = threading.Lock()


def hub() -> StreamHub:
    """The process's hub; it starts with its first use, so never before a fork."""
    global _hub
    if _hub is None:
        with _hub_lock:
            if _hub is None:
                started = StreamHub()
                started.start()
                _hub = started
    return _hub

"""The worker's side of streams: sends tokens to those who listen, never at the engine's expense."""

import queue
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

import structlog
from kombu import Connection, Producer

from tasks import streams
from tasks.broker import BrokerLeftAlone, guarded, in_memory
from tasks.errors import BrokerUnavailable
from tasks.streams import Tokens

_BATCH = 4096
# Beyond this the broker does not keep up, and listeners do better with the database.
_MOST_WAITING = 100_000
_WRITE_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger(__name__)

_Item = tuple[Collection[str], Tokens]


class StreamPublisher:
    """A thread that sends what waits, one message to each listener at a time.

    What a broker that is away does not take is dropped: listeners find it in the database.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._thread = threading.Thread(target=self._run, name="tokenmill-streams", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, then end."""
        self._waiting.put(None)
        self._thread.join(timeout=5)

    def put(self, listeners: Collection[str], tokens: Tokens) -> None:
        """Returns at once: the engine's thread calls this."""
        if self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put((listeners, tokens))

    def _run(self) -> None:
        if not in_memory():
            # Now, not while the first token waits.
            self._try(self._connect)
        stopping = False
        while not stopping:
            items = [self._waiting.get(), *islice(self._ready(), _BATCH - 1)]
            stopping = None in items
            for listener, batch in by_listener(item for item in items if item is not None).items():
                self._send(listener, batch)
        self._disconnect()

    def _ready(self) -> Iterator[_Item | None]:
        while True:
            try:
                yield self._waiting.get_nowait()
            except queue.Empty:
                return

    def _send(self, listener: str, batch: Sequence[Tokens]) -> None:
        receive = streams.receivers.get(listener)
        if receive is None:
            self._try(lambda: self._publish(listener, batch))
            return
        try:
            receive(batch)
        except Exception:
            log.exception("tokens dropped", action="stream_failed")

    def _try(self, send: Callable[[], object]) -> None:
        try:
            with guarded():
                send()
        except BrokerLeftAlone:
            return
        except BrokerUnavailable as error:
            log.warning("tokens dropped", action="stream_broker_away", error=error.message)
            self._disconnect()
        except Exception:
            log.exception("tokens dropped", action="stream_failed")
            self._disconnect()

    def _publish(self, listener: str, batch: Sequence[Tokens]) -> None:
        producer = self._producer or self._connect()
        producer.publish(
            streams.encode(batch),
            exchange=streams.exchange(),
            routing_key=listener,
            content_type="application/json",
            content_encoding="utf-8",
            retry=False,
        )

    def _connect(self) -> Producer:
        # Imported here: the app's configuration is not needed where everything is one process.
        from tasks.app import app

        # Nothing waits for confirms: a token that is lost is made up for.
        options = {"confirm_publish": False, "write_timeout": _WRITE_TIMEOUT_SECONDS}
        self._connection = app.connection_for_write(transport_options=options)
        self._connection.ensure_connection(max_retries=1, interval_start=0)
        self._producer = Producer(self._connection.default_channel)
        streams.exchange()(self._connection.default_channel).declare()
        return self._producer

    def _disconnect(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:
                log.debug("connection lost", action="stream_connection_lost", error=type(error).__name__)


def by_listener(items: Iterable[_Item]) -> dict[str, list[Tokens]]:
    """What each listener is to be sent; tokens that follow each other become one entry."""
    batches: dict[str, dict[tuple[str, int], list[Tokens]]] = {}
    for listeners, tokens in items:
        for listener in listeners:
            runs = batches.setdefault(listener, {}).setdefault((tokens.job_id, tokens.choice), [])
            if runs and runs[-1].end == tokens.start:
                runs[-1] = runs[-1].with_next(tokens)
            else:
                runs.append(tokens)
    return {
        listener: [tokens for runs in outputs.values() for tokens in runs]
        for listener, outputs in batches.items()
    }

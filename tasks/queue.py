"""Publishing job ids: one durable quorum queue per model, confirmed by the broker, marked in the row."""

import queue
import re
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from time import monotonic

import structlog
from kombu import Connection, Producer, Queue
from kombu.entity import PERSISTENT_DELIVERY_MODE

from tasks import jobs
from tasks.broker import BrokerLeftAlone, guarded
from tasks.db import transaction
from tasks.errors import BrokerUnavailable, DatabaseUnavailable
from tasks.settings import settings
from tasks.tracing import publishing

GENERATE_TASK = "tasks.generate.generate"

_BATCH = 256
# More than a broker that keeps up ever leaves; beyond it the relay publishes them.
_MOST_PENDING = 20_000
_MARK_AFTER_SECONDS = 0.1
_CONFIRM_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger(__name__)

PublishedJob = tuple[str, str]
"""A job's id and its model."""

PublishedSlice = tuple[str, str, bool]
"""A slice's id, its model, and whether it is to run alone."""


def queue_for(model: str) -> Queue:
    """The queue of a model's jobs."""
    return _queue("generate", model)


def slice_queue_for(model: str) -> Queue:
    """The queue of the slices of batches that name a model."""
    return _queue("batch", model)


def _queue(kind: str, model: str) -> Queue:
    name = f"{settings().queue_prefix}.{kind}.{re.sub(r'[^a-z0-9._-]', '-', model)}"
    return Queue(name, routing_key=name, durable=True, queue_arguments={"x-queue-type": "quorum"})


def served_queue() -> Queue:
    """The queue that this process, as a worker, consumes."""
    return queue_for(settings().served_model().name)


class ConfirmedPublisher:
    """A connection that publishes many messages and then waits once for all confirms.

    Raises BrokerUnavailable from every method; the connection is then useless and must be closed.
    """

    def __init__(self) -> None:
        # Imported here: the app's configuration needs this module's queues.
        from tasks.app import app

        self._app = app
        self._declared: set[str] = set()
        self._unconfirmed: set[int] = set()
        self._refused = False
        self._last_tag = 0
        with guarded():
            self._connection = self._connect()
            self._producer = Producer(self._connection.default_channel)

    def publish(self, published: Sequence[PublishedJob]) -> None:
        """Returns when the broker has every message on disk on a majority of its nodes."""
        with guarded():
            for job_id, model in published:
                self._send(job_id, model)
            self._await_confirms()

    def publish_slices(self, published: Sequence[PublishedSlice]) -> None:
        """As ``publish``; what a worker reads itself, beside the tasks that come to it."""
        with guarded():
            for slice_id, model, alone in published:
                self._put(slice_queue_for(model), {"slice_id": slice_id, "alone": alone})
            self._await_confirms()

    def close(self) -> None:
        self._connection.release()

    def _connect(self) -> Connection:
        # Confirms are awaited for a whole batch here, not one by one in the transport.
        connection: Connection = self._app.connection_for_write(transport_options={"confirm_publish": False})
        connection.ensure_connection(max_retries=1, interval_start=0)
        self._confirms = connection.transport.driver_type == "amqp"
        if self._confirms:
            channel = connection.default_channel
            channel.confirm_select()
            channel.events["basic_ack"].add(self._on_ack)
            channel.events["basic_nack"].add(self._on_nack)
        return connection

    def _send(self, job_id: str, model: str) -> None:
        task = self._app.amqp.as_task_v2(
            job_id, GENERATE_TASK, args=(job_id,), ignore_result=True, shadow=f"job of {model}"
        )
        # As `send_task` does it, less the routing and the signals, which take longer than the rest.
        self._put(queue_for(model), task.body, headers=task.headers, **task.properties)

    def _put(self, target: Queue, body: object, **properties: object) -> None:
        if target.name not in self._declared:
            target(self._connection.default_channel).declare()
            self._declared.add(target.name)
        self._last_tag += 1
        if self._confirms:
            self._unconfirmed.add(self._last_tag)
        self._producer.publish(
            body,
            exchange=target.exchange,
            routing_key=target.routing_key,
            serializer="json",
            delivery_mode=PERSISTENT_DELIVERY_MODE,
            retry=False,
            **properties,
        )

    def _await_confirms(self) -> None:
        until = monotonic() + _CONFIRM_TIMEOUT_SECONDS
        while self._unconfirmed and not self._refused:
            self._connection.drain_events(timeout=max(until - monotonic(), 0.001))
        if self._refused:
            raise BrokerUnavailable("The broker refused a message.")

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {tag for tag in self._unconfirmed if tag > delivery_tag}
        else:
            self._unconfirmed.discard(delivery_tag)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        self._refused = True


class SlicePublisher:
    """Publishes slices over a connection that it keeps."""

    def __init__(self) -> None:
        self._publisher: ConfirmedPublisher | None = None

    def publish(self, published: Sequence[PublishedSlice]) -> None:
        """Returns when the broker has every message. Raises BrokerUnavailable."""
        if not published:
            return
        try:
            if self._publisher is None:
                self._publisher = ConfirmedPublisher()
            self._publisher.publish_slices(published)
        except BrokerUnavailable:
            if self._publisher is not None:
                self._publisher.close()
                self._publisher = None
            raise


class BackgroundPublisher:
    """Publishes just-committed jobs behind the requests that made them.

    What it can't publish, or not soon, it forgets: the rows are the outbox and the relay will find them.
    """

    def __init__(self) -> None:
        self._pending: queue.SimpleQueue[PublishedJob] = queue.SimpleQueue()
        self._publisher: ConfirmedPublisher | None = None
        self._confirmed: list[str] = []
        self._mark_at = 0.0
        self._thread = threading.Thread(target=self._run, name="tokenmill-publisher", daemon=True)
        self._thread.start()

    def put(self, job_id: str, model: str) -> None:
        if self._pending.qsize() < _MOST_PENDING:
            publishing.begin(job_id, model)
            self._pending.put((job_id, model))

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            try:
                self._publish(batch)
            except BrokerLeftAlone as error:
                # The relay has them; a word for each would fill the log for as long as it lasts.
                publishing.end(_ids(batch), error)
            except (BrokerUnavailable, DatabaseUnavailable) as error:
                publishing.end(_ids(batch), error)
                log.warning("left to the relay", action="publish_deferred", jobs=len(batch), error=str(error))
                self._reset()
            except Exception as error:
                publishing.end(_ids(batch), error)
                log.exception("left to the relay", action="publish_failed", jobs=len(batch))
                self._reset()

    def _next_batch(self) -> list[PublishedJob]:
        """What waits to be published; empty when it is time to mark what was."""
        try:
            first = self._pending.get(timeout=_MARK_AFTER_SECONDS if self._confirmed else None)
        except queue.Empty:
            return []
        return [first, *islice(self._ready(), _BATCH - 1)]

    def _publish(self, batch: Sequence[PublishedJob]) -> None:
        if batch:
            if self._publisher is None:
                self._publisher = ConfirmedPublisher()
            self._publisher.publish(batch)
            publishing.end(_ids(batch))
            self._confirmed += _ids(batch)
            self._mark_at = self._mark_at or monotonic() + _MARK_AFTER_SECONDS
        # Marked in bulk, a little later: until then the relay leaves such young rows alone.
        if self._confirmed and monotonic() >= self._mark_at:
            with transaction(durable=False) as connection:
                jobs.mark_published(connection, self._confirmed)
            self._forget_confirmed()

    def _forget_confirmed(self) -> None:
        self._confirmed, self._mark_at = [], 0.0

    def _reset(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None
        self._forget_confirmed()

    def _ready(self) -> Iterator[PublishedJob]:
        while True:
            try:
                yield self._pending.get_nowait()
            except queue.Empty:
                return


def _ids(batch: Sequence[PublishedJob]) -> list[str]:
    return [job_id for job_id, _ in batch]


_background: BackgroundPublisher | None = None
_background_lock = threading.Lock()


def publish_soon(job_id: str, model: str) -> None:
    """Hand a committed job to the process's publisher; never blocks and never fails."""
    global _background
    if _background is None:
        with _background_lock:
            if _background is None:
                _background = BackgroundPublisher()
    _background.put(job_id, model)

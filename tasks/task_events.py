"""Tells those who watch what this worker's tasks are doing. Nobody waits for it, and nothing relies on it."""

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import select

from tasks.app import app
from tasks.backoff import Backoff
from tasks.broker import broker_errors, in_memory
from tasks.db import transaction
from tasks.errors import BrokerUnavailable, DatabaseUnavailable
from tasks.flight import Flight
from tasks.models import Job, JobStatus
from tasks.shown_tasks import ShownTasks, TaskEvent

log = structlog.get_logger(__name__)

_News = Callable[[], list[TaskEvent]]


class TaskEvents:
    """A thread that sends events on a connection of its own. What it can't send at once is dropped.

    ``node`` is the worker's name among Celery's; without one, and where the broker is this process's own
    memory, there is nobody to tell and nothing is done.
    """

    def __init__(self, model: str, node: str | None) -> None:
        self._node = node
        self._shown = ShownTasks(model)
        self._news: queue.SimpleQueue[_News | None] = queue.SimpleQueue()
        self._watched = False
        self._thread = threading.Thread(target=self._run, name="tokenmill-task-events", daemon=True)
        self._connection: Any = None
        self._dispatcher: Any = None
        self._backoff = Backoff()
        self._resume_at = 0.0

    def start(self) -> None:
        if self._node is not None and not in_memory():
            self._watched = True
            self._thread.start()

    def stop(self) -> None:
        if self._watched:
            self._news.put(None)
            self._thread.join(timeout=5)

    def received(self, job_id: str) -> None:
        self._tell(partial(self._shown.received, job_id))

    def started(self, flight: Flight) -> None:
        self._tell(partial(self._shown.started, flight))

    def unclaimed(self, job_id: str) -> None:
        """The message of a job came when there was no claiming it, or another's job went ahead."""
        self._tell(partial(self._look_up, job_id))

    def slice_started(self, slice_id: str, flights: Sequence[Flight]) -> None:
        self._tell(partial(self._shown.slice_started, slice_id, flights))

    def gone(self, flight: Flight) -> None:
        self._tell(partial(self._shown.gone, flight))

    def handed_back(self, flight: Flight) -> None:
        self._tell(partial(self._shown.handed_back, flight))

    def _tell(self, news: _News) -> None:
        if self._watched:
            self._news.put(news)

    def _run(self) -> None:
        while (news := self._news.get()) is not None:
            try:
                for event in news():
                    self._send(event)
            except DatabaseUnavailable as error:
                log.warning("task event not known", action="task_event_dropped", error=error.message)
            except Exception:
                log.exception("task event failed", action="task_event_failed")
        self._disconnect()

    def _look_up(self, job_id: str) -> list[TaskEvent]:
        with transaction() as connection:
            status = connection.execute(select(Job.status).where(Job.id == job_id)).scalar()
        return [] if status is None else self._shown.ended_unclaimed(job_id, JobStatus(status))

    def _send(self, event: TaskEvent) -> None:
        if monotonic() < self._resume_at:
            return
        try:
            with broker_errors():
                if self._dispatcher is None:
                    self._connect()
                self._dispatcher.send(**event)
            self._backoff = Backoff()
        except BrokerUnavailable as error:
            log.warning("task events lost the broker", action="task_events_dropped", error=error.message)
            self._disconnect()
            self._resume_at = monotonic() + self._backoff.next_seconds()

    def _connect(self) -> None:
        # A confirm would be waited for, and events may be lost.
        self._connection = app.connection_for_write(transport_options={"confirm_publish": False})
        self._connection.ensure_connection(max_retries=1, interval_start=0)
        self._dispatcher = app.events.Dispatcher(
            self._connection, hostname=self._node, buffer_while_offline=False
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.release()
        self._connection = self._dispatcher = None

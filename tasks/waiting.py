"""Waiting for a job to end: told by its event, and by a look now and then in case the event is lost."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import structlog

from tasks import events, job_queries
from tasks.errors import DatabaseUnavailable
from tasks.job import JobRecord
from tasks.models import JobStatus

_LOOK_EVERY_SECONDS = 2.0

log = structlog.get_logger(__name__)

Waiter = Callable[[JobStatus | None], None]
"""Called, by a thread that must not be held up, with what the database says, or with None: it ended."""


class _Room:
    """The process's waiters; its threads start with the first of them, so never before a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._somebody = threading.Event()
        self._listener: events.EventListener | None = None

    def enter(self, job_id: str, waiter: Waiter) -> None:
        with self._lock:
            if self._listener is None:
                self._listener = events.EventListener(self._hear)
                self._listener.start()
                threading.Thread(target=self._look, name="tokenmill-lookout", daemon=True).start()
            self._waiters[job_id].add(waiter)
        self._somebody.set()

    def leave(self, job_id: str, waiter: Waiter) -> None:
        with self._lock:
            self._waiters[job_id].discard(waiter)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _hear(self, kind: str, job_ids: list[str], listener: str | None) -> None:
        if kind == events.ENDED:
            for job_id in job_ids:
                self._tell(job_id, None)

    def _tell(self, job_id: str, status: JobStatus | None) -> None:
        with self._lock:
            waiters = list(self._waiters.get(job_id, ()))
        for waiter in waiters:
            waiter(status)

    def _look(self) -> None:
        """One query for everybody, however many wait."""
        pause = threading.Event()
        while True:
            self._somebody.wait()
            pause.wait(_LOOK_EVERY_SECONDS)
            with self._lock:
                job_ids = list(self._waiters)
                if not job_ids:
                    self._somebody.clear()
            try:
                for job_id, status in job_queries.statuses(job_ids).items():
                    self._tell(job_id, status)
            except DatabaseUnavailable:
                log.warning("database away, nobody looked", action="lookout_failed", jobs=len(job_ids))
            except Exception:
                log.exception("look failed", action="lookout_failed", jobs=len(job_ids))


_room = _Room()


@contextmanager
def told(job_id: str, waiter: Waiter) -> Iterator[None]:
    """Within the block the waiter is told when the job has ended, and now and then how it stands."""
    _room.enter(job_id, waiter)
    try:
        yield
    finally:
        _room.leave(job_id, waiter)


def wait_for_end(
    project_id: str,
    job_id: str,
    timeout_seconds: float,
    *,
    woken: threading.Event | None = None,
    leaves: Callable[[], bool] = lambda: False,
) -> JobRecord:
    """The job the moment it has ended, or as it stands when the time is up. Raises JobNotFound.

    Whoever sets ``woken`` has ``leaves`` asked whether to wait no longer.
    """
    woken = threading.Event() if woken is None else woken
    until = monotonic() + timeout_seconds

    def wake(status: JobStatus | None) -> None:
        if status is None or status.ended:
            woken.set()

    # Entered before the first look, or an end between the two would be missed.
    with told(job_id, wake):
        while True:
            job = job_queries.get_job(project_id, job_id)
            left = until - monotonic()
            if job.status.ended or left <= 0 or leaves():
                return job
            woken.wait(left)
            woken.clear()

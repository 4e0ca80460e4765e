"""Waiting for a job to end: woken by its event, and by a look now and then in case the event is lost."""

import threading
from collections import defaultdict
from time import monotonic

from tasks import events, job_queries
from tasks.job import JobRecord

_LOOK_EVERY_SECONDS = 2.0


class _Room:
    """The process's waiters; its listener starts with the first of them, so never before a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._listener: events.EventListener | None = None

    def enter(self, job_id: str) -> threading.Event:
        woken = threading.Event()
        with self._lock:
            if self._listener is None:
                self._listener = events.EventListener(self._hear)
                self._listener.start()
            self._waiters[job_id].add(woken)
        return woken

    def leave(self, job_id: str, woken: threading.Event) -> None:
        with self._lock:
            self._waiters[job_id].discard(woken)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _hear(self, kind: str, job_ids: list[str]) -> None:
        if kind != events.ENDED:
            return
        with self._lock:
            for job_id in job_ids:
                for woken in self._waiters.get(job_id, ()):
                    woken.set()


_room = _Room()


def wait_for_end(project_id: str, job_id: str, timeout_seconds: float) -> JobRecord:
    """The job the moment it has ended, or as it stands when the time is up. Raises JobNotFound."""
    until = monotonic() + timeout_seconds
    # Entered before the first look, or an end between the two would be missed.
    woken = _room.enter(job_id)
    try:
        while True:
            job = job_queries.get_job(project_id, job_id)
            left = until - monotonic()
            if job.status.ended or left <= 0:
                return job
            woken.wait(min(left, _LOOK_EVERY_SECONDS))
            woken.clear()
    finally:
        _room.leave(job_id, woken)

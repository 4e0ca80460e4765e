"""Waiting inside a request, for a job or its tokens, without ever starving the other requests of threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Self

from tasks import job_queries, waiting
from tasks.errors import ServerBusy
from tasks.job import JobRecord

# How soon a waiting request notices that the server is stopping.
_SLICE_SECONDS = 5.0


Wake = Callable[[], None]


class LongPolls:
    """Lets only so many requests wait at a time; one too many is answered at once."""

    def __init__(self, at_most: int) -> None:
        self._places = threading.BoundedSemaphore(at_most)
        self._stopping = threading.Event()
        self._wakes: set[Wake] = set()

    @property
    def stopping(self) -> bool:
        """Whether the server is about to end, and so must every wait."""
        return self._stopping.is_set()

    @classmethod
    def leaving_room(cls, threads: int) -> Self:
        """Waits on three quarters of the server's threads at most."""
        return cls(max(1, threads * 3 // 4))

    def job(self, project_id: str, job_id: str, wait_seconds: float) -> JobRecord:
        """The job when it has ended, or as it stands after ``wait_seconds``. Raises JobNotFound."""
        if wait_seconds <= 0 or not self._places.acquire(blocking=False):
            return job_queries.get_job(project_id, job_id)
        try:
            return self._wait(project_id, job_id, monotonic() + wait_seconds)
        finally:
            self._places.release()

    @contextmanager
    def place(self, wake: Wake) -> Iterator[None]:
        """A place to wait in; ``wake`` is called when the server is about to end. Raises ServerBusy."""
        if not self._places.acquire(blocking=False):
            raise ServerBusy
        self._wakes.add(wake)
        try:
            if self.stopping:
                wake()
            yield
        finally:
            self._wakes.discard(wake)
            self._places.release()

    def stop(self) -> None:
        """Whoever waits is answered within seconds, and nobody waits from now on."""
        self._stopping.set()
        # Without a lock, since this runs in a signal handler; copying a set is one step.
        for wake in list(self._wakes):
            wake()

    def _wait(self, project_id: str, job_id: str, until: float) -> JobRecord:
        while True:
            left = 0.0 if self.stopping else max(0.0, until - monotonic())
            job = waiting.wait_for_end(project_id, job_id, min(left, _SLICE_SECONDS))
            if job.status.ended or left <= _SLICE_SECONDS:
                return job

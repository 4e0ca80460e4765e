"""The jobs a worker has in its engine right now."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from inference.request import Progress, TokenEvent
from tasks import log_fields
from tasks.jobs import ClaimedJob
from tasks.tracing.job_trace import JobTrace


class Running(Protocol):
    """A job in an engine. Any thread may use it."""

    def cancel(self) -> None: ...

    def progress(self) -> list[Progress]:
        """Each output so far, in order; [] where there is nothing to save."""


News = Callable[[int, TokenEvent], None]
"""Called with the index of an output and its new tokens."""


@dataclass(slots=True, eq=False)
class Flight:
    """A claimed job on its way through the engine.

    ``landed`` is set once nothing more has to be done for it here: its ending is committed, or it
    belongs to somebody else. ``given_up`` means that its outcome is no longer ours to write.
    """

    job: ClaimedJob
    running: Running | None = None
    landed: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False
    saved_tokens: int = 0
    listeners: set[str] = field(default_factory=set)
    trace: JobTrace | None = None

    @property
    def fence(self) -> tuple[str, int]:
        return self.job.id, self.job.attempt

    def cancel(self) -> None:
        if self.running is not None:
            self.running.cancel()

    def give_up(self) -> None:
        self.given_up = True
        self.cancel()
        self.leave()

    def leave(self) -> None:
        """Nothing of it is written here any more."""
        if self.trace is not None:
            self.trace.give_up()
        self.landed.set()


class Flights:
    """A thread-safe set of flights, one per job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_job: dict[str, Flight] = {}
        self._lines = 0

    @property
    def lines(self) -> int:
        """How many of them are lines of batches."""
        return self._lines

    def add(self, flight: Flight) -> None:
        with self._lock:
            self._forget(flight.job.id)
            self._by_job[flight.job.id] = flight
            log_fields.remember(flight.job.id, flight.job.log_fields)
            self._lines += flight.job.batch_id is not None

    def remove(self, flight: Flight) -> None:
        with self._lock:
            if self._by_job.get(flight.job.id) is flight:
                self._forget(flight.job.id)

    def all(self) -> list[Flight]:
        with self._lock:
            return list(self._by_job.values())

    def of(self, job_ids: Iterable[str]) -> list[Flight]:
        with self._lock:
            return [self._by_job[job_id] for job_id in job_ids if job_id in self._by_job]

    def _forget(self, job_id: str) -> None:
        log_fields.forget(job_id)
        flight = self._by_job.pop(job_id, None)
        self._lines -= flight is not None and flight.job.batch_id is not None

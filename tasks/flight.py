"""The jobs a worker has in its engine right now."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from inference.request import Progress, TokenEvent
from tasks import log_fields
from tasks.jobs import ClaimedJob, Ending
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
    ``ended_as`` is the ending as committed.
    """

    job: ClaimedJob
    running: Running | None = None
    landed: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False
    ended_as: Ending | None = None
    begun_at: float = field(default_factory=monotonic)
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
    """A thread-safe set of flights, one per job. ``on_gone`` is called with each that leaves it."""

    def __init__(self, on_gone: Callable[[Flight], None] = lambda _: None) -> None:
        self._on_gone = on_gone
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
        if flight is not None:
            self._lines -= flight.job.batch_id is not None
            self._on_gone(flight)

"""The jobs a worker has in its engine right now."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from inference.request import Progress
from tasks.jobs import ClaimedJob


class Generation(Protocol):
    """What the engine returns for a request it took."""

    def cancel(self) -> None: ...
    def progress(self) -> Progress: ...


@dataclass(slots=True, eq=False)
class Flight:
    """A claimed job on its way through the engine.

    ``landed`` is set once nothing more has to be done for it here: its ending is committed, or it
    belongs to somebody else. ``given_up`` means that its outcome is no longer ours to write.
    """

    job: ClaimedJob
    generation: Generation | None = None
    landed: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False
    saved_tokens: int = 0

    @property
    def fence(self) -> tuple[str, int]:
        return self.job.id, self.job.attempt

    def cancel(self) -> None:
        if self.generation is not None:
            self.generation.cancel()

    def give_up(self) -> None:
        self.given_up = True
        self.cancel()
        self.landed.set()


class Flights:
    """A thread-safe set of flights, one per job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_job: dict[str, Flight] = {}

    def add(self, flight: Flight) -> None:
        with self._lock:
            self._by_job[flight.job.id] = flight

    def remove(self, flight: Flight) -> None:
        with self._lock:
            if self._by_job.get(flight.job.id) is flight:
                del self._by_job[flight.job.id]

    def all(self) -> list[Flight]:
        with self._lock:
            return list(self._by_job.values())

    def of(self, job_ids: Iterable[str]) -> list[Flight]:
        with self._lock:
            return [self._by_job[job_id] for job_id in job_ids if job_id in self._by_job]

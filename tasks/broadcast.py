"""Who listens to the jobs that this worker runs, and what they are told."""

import threading
from collections.abc import Iterable, Sequence
from time import monotonic

from inference.request import TokenEvent
from tasks.flight import Flight, Flights, News
from tasks.generation import progress_so_far
from tasks.stored_choices import stored_logprob
from tasks.stream_publisher import StreamPublisher
from tasks.streams import Tokens

# Longer than it takes from the claim of a job to its flight.
_REMEMBER_SECONDS = 5.0


class Broadcast:
    """Sends the tokens of flights to their listeners. For jobs nobody listens to it does nothing."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._publisher = StreamPublisher()
        self._lock = threading.Lock()
        self._early: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        self._publisher.start()

    def stop(self) -> None:
        self._publisher.stop()

    def news_of(self, flight: Flight) -> News:
        """What the engine is to call with the new tokens of a job's outputs."""
        positions = {index: len(choice.token_ids) for index, choice in enumerate(flight.job.saved)}

        def hear(index: int, event: TokenEvent) -> None:
            start = positions.get(index, 0)
            positions[index] = start + len(event.token_ids)
            if flight.listeners and not flight.given_up:
                logprobs = tuple(map(stored_logprob, event.logprobs))
                tokens = Tokens(flight.job.id, index, start, event.token_ids, logprobs)
                self._publisher.put(tuple(flight.listeners), tokens)

        return hear

    def add_listeners(self, flight: Flight) -> None:
        """Those who asked after the job was claimed and before it had a flight."""
        with self._lock:
            asked = [listener for job_id, listener in self._early if job_id == flight.job.id]
        flight.listeners.update(asked)

    def listen(self, job_ids: Iterable[str], listener: str) -> None:
        """Send a job's tokens to one more listener, those so far first."""
        job_ids = list(job_ids)
        self._remember(job_ids, listener)
        for flight in self._flights.of(job_ids):
            # In this order: what comes in between is sent twice, which does no harm.
            flight.listeners.add(listener)
            for tokens in _so_far(flight):
                self._publisher.put((listener,), tokens)

    def unlisten(self, job_ids: Iterable[str], listener: str) -> None:
        job_ids = list(job_ids)
        with self._lock:
            for job_id in job_ids:
                self._early.pop((job_id, listener), None)
        for flight in self._flights.of(job_ids):
            flight.listeners.discard(listener)

    def _remember(self, job_ids: Sequence[str], listener: str) -> None:
        now = monotonic()
        with self._lock:
            self._early = {asked: at for asked, at in self._early.items() if now - at < _REMEMBER_SECONDS}
            self._early |= {(job_id, listener): now for job_id in job_ids}


def _so_far(flight: Flight) -> list[Tokens]:
    if flight.running is None:
        return []
    choices = progress_so_far(flight.job, flight.running.progress())
    return [
        Tokens(flight.job.id, index, 0, choice.token_ids, tuple(map(stored_logprob, choice.logprobs)))
        for index, choice in enumerate(choices)
        if choice.token_ids
    ]

"""Writes the endings of a worker's jobs: all that wait share a transaction, and none is ever dropped."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import structlog

from tasks import events, generation, job_limits, jobs
from tasks.backoff import Backoff
from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.flight import Flight, Flights

_BATCH = 128
_UNWRITABLE = "result_unwritable"

log = structlog.get_logger(__name__)

_Item = tuple[Flight, jobs.Ending]


class Finisher:
    """A thread that commits endings in the order in which they come."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._waiting: queue.Queue[_Item | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="tokenmill-finisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, flight: Flight, ending: jobs.Ending) -> None:
        """Returns at once; ``flight.landed`` is set when the ending is committed."""
        self._waiting.put((flight, ending))

    def stop(self, timeout_seconds: float) -> None:
        """Commit what waits, then end. What the database does not take in time is run again elsewhere."""
        self._waiting.put(None)
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch: list[_Item] = []
            for item in self._next():
                if item is None:
                    stopping = True
                else:
                    batch.append(item)
            if batch:
                self._commit_until_done(batch)

    def _next(self) -> list[_Item | None]:
        return [self._waiting.get(), *islice(self._ready(), _BATCH - 1)]

    def _ready(self) -> Iterator[_Item | None]:
        while True:
            try:
                yield self._waiting.get_nowait()
            except queue.Empty:
                return

    def _commit_until_done(self, batch: Sequence[_Item]) -> None:
        backoff = Backoff()
        while True:
            try:
                self._commit(batch)
                return
            except DatabaseUnavailable:
                log.warning("database away, endings kept", action="finish_deferred", jobs=len(batch))
                backoff.sleep()
            except Exception as error:
                # Anything else is about the endings themselves; this thread must outlive every one of them.
                log.error(
                    "ending refused", action="finish_refused", jobs=len(batch), error=type(error).__name__
                )
                self._isolate(batch)
                return

    def _commit(self, batch: Sequence[_Item]) -> None:
        ours = [(flight, ending) for flight, ending in batch if not flight.given_up]
        begun_ns = time.time_ns()
        with transaction() as connection:
            ended = jobs.end(connection, [ending for _, ending in ours])
        # First, so that whoever learns of an end finds room for the next.
        job_limits.settle_ended([ending for flight, ending in ours if flight.job.batch_id is None], ended)
        for flight, ending in batch:
            committed = ending.job_id in ended
            if flight.trace is not None:
                flight.trace.end(ending, committed=committed, commit_begun_ns=begun_ns)
            flight.ended_as = ending if committed else None
            self._flights.remove(flight)
            flight.landed.set()
            action = "job_ended" if committed else "job_end_fenced"
            log.info(action, action=action, status=ending.status.value, **flight.job.log_fields)
        events.publish(events.ENDED, ended)

    def _isolate(self, batch: Sequence[_Item]) -> None:
        """One ending that the database refuses must not hold up the others: it becomes a failure."""
        if len(batch) > 1:
            for item in batch:
                self._commit_until_done([item])
            return
        flight, ending = batch[0]
        if ending.error_code == _UNWRITABLE:
            # The keeper finds the job without a flight and queues it again, which counts as a loss.
            self._flights.remove(flight)
            flight.leave()
            return
        message = "The result could not be stored; nothing was charged."
        self._commit_until_done([(flight, generation.failed(flight.job, _UNWRITABLE, message))])

"""Runs jobs on this process's engine: claim, generate, finish; and leaves in good order."""

import threading
import time
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import structlog
from sqlalchemy.exc import DBAPIError

from inference.errors import EngineStopped, InvalidGeneration
from tasks import events, generation, jobs
from tasks.backoff import Backoff
from tasks.broadcast import Broadcast
from tasks.claiming import claim, claim_slice
from tasks.db import transaction
from tasks.errors import DatabaseUnavailable, WorkerLeaving
from tasks.finisher import Finisher
from tasks.flight import Flight, Flights, News, Running
from tasks.keeper import Keeper
from tasks.settings import settings
from tasks.task_events import TaskEvents
from tasks.tracing import job_trace, recording
from tasks.worker_identity import WorkerIdentity

log = structlog.get_logger(__name__)


class JobEngine(Protocol):
    """What runs a claimed job: `TextEngine`, `VectorEngine`."""

    def run(self, job: jobs.ClaimedJob, on_news: News, on_end: Callable[[jobs.Ending], None]) -> Running:
        """Raises InvalidGeneration, EngineStopped."""


class JobRunner:
    """One per worker process. ``run`` is called by many task threads at once.

    ``node`` is the worker's name among Celery's, for those who watch.
    """

    def __init__(self, engine: JobEngine, identity: WorkerIdentity, node: str | None = None) -> None:
        self._engine = engine
        self._identity = identity
        self._task_events = TaskEvents(identity.model, node)
        self._flights = Flights(on_gone=self._task_events.gone)
        self._finisher = Finisher(self._flights)
        self._keeper = Keeper(identity, self._flights)
        self._listener = events.EventListener(self._hear)
        self._broadcast = Broadcast(self._flights)
        self._leaving = threading.Event()

    def start(self) -> None:
        """Register as a worker; from now on jobs may be claimed. Waits for the database."""
        recording.prepare("worker")
        backoff = Backoff()
        while True:
            try:
                self._identity.register()
                break
            except (DatabaseUnavailable, DBAPIError) as error:
                log.warning(
                    "waiting for the database", action="register_deferred", error=type(error).__name__
                )
                backoff.sleep()
        self._task_events.start()
        self._finisher.start()
        self._keeper.start()
        self._broadcast.start()
        self._listener.start()

    def run(self, job_id: str) -> None:
        """Take a job from its message to its ending.

        Returns when the ending is committed, when the job is somebody else's, or, before RabbitMQ
        would close the channel, while it is still running: from then on the lease alone guards it.

        Raises WorkerLeaving: nothing is claimed here any more, so the message is for another worker.
        """
        asked_ns = time.time_ns()
        with structlog.contextvars.bound_contextvars(job_id=job_id):
            self._task_events.received(job_id)
            job = self._claim(job_id)
            if job is None or job.id != job_id:
                self._task_events.unclaimed(job_id)
            if job is None:
                if self.leaving:
                    raise WorkerLeaving
                log.info("nothing to claim", action="claim_missed")
                return
        # It may be another one, where that goes first.
        with structlog.contextvars.bound_contextvars(**job.log_fields):
            flight = self._prepare(job, asked_ns)
            self._task_events.started(flight)
            self._take_off(flight)
            flight.landed.wait(settings().early_ack_seconds)

    def run_slice(self, slice_id: str) -> int:
        """Start the lines of a slice; returns how many there were to be had.

        From the claim on, the lease guards them, as it does every job.
        """
        asked_ns = time.time_ns()
        claimed = self._claim_slice(slice_id)
        flights = [self._prepare(job, asked_ns) for job in claimed]
        self._task_events.slice_started(slice_id, flights)
        for flight in flights:
            self._take_off(flight)
        batch_id = claimed[0].batch_id if claimed else None
        log.info(
            "slice taken", action="slice_taken", slice_id=slice_id, batch_id=batch_id, lines=len(claimed)
        )
        return len(claimed)

    def lines_running(self) -> int:
        """How many lines of batches are on their way through the engine."""
        return self._flights.lines

    @property
    def leaving(self) -> bool:
        """Whether nothing more is claimed here."""
        return self._leaving.is_set()

    def drain(self, grace_seconds: float) -> None:
        """Claim nothing more, let jobs finish for a while, hand the rest back."""
        self._leaving.set()
        until = monotonic() + grace_seconds
        for flight in self._flights.all():
            flight.landed.wait(max(0.0, until - monotonic()))
        self._hand_back([flight for flight in self._flights.all() if not flight.landed.is_set()])

    def close(self) -> None:
        """The end: endings are flushed and the worker says goodbye."""
        self._leaving.set()
        self._listener.stop()
        self._keeper.stop()
        self._finisher.stop(timeout_seconds=10)
        self._broadcast.stop()
        self._task_events.stop()
        try:
            self._identity.withdraw()
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning("left without goodbye", action="withdraw_failed", error=type(error).__name__)

    def _claim(self, job_id: str) -> jobs.ClaimedJob | None:
        backoff = Backoff()
        while not self._leaving.is_set():
            try:
                with transaction() as connection:
                    return claim(connection, job_id, self._identity.id, self._identity.system_fingerprint)
            except DatabaseUnavailable:
                log.warning("database away, claim kept", action="claim_deferred")
                self._leaving.wait(backoff.next_seconds())
        return None

    def _claim_slice(self, slice_id: str) -> list[jobs.ClaimedJob]:
        backoff = Backoff()
        while not self._leaving.is_set():
            try:
                with transaction() as connection:
                    return claim_slice(
                        connection, slice_id, self._identity.id, self._identity.system_fingerprint
                    )
            except DatabaseUnavailable:
                log.warning("database away, slice kept", action="slice_deferred")
                self._leaving.wait(backoff.next_seconds())
        return []

    def _prepare(self, job: jobs.ClaimedJob, asked_ns: int) -> Flight:
        flight = Flight(job, listeners=set(job.listeners), trace=job_trace.begin(job, asked_ns))
        self._flights.add(flight)
        self._broadcast.add_listeners(flight)
        return flight

    def _take_off(self, flight: Flight) -> None:
        def end(ending: jobs.Ending) -> None:
            if not flight.given_up:
                self._finisher.put(flight, ending)

        try:
            flight.running = self._engine.run(flight.job, self._broadcast.news_of(flight), end)
        except InvalidGeneration as error:
            self._finisher.put(flight, generation.failed(flight.job, "invalid_generation", str(error)))
        except EngineStopped:
            self._hand_back([flight])

    def _hand_back(self, flights: list[Flight]) -> None:
        if not flights:
            return
        log.info("handing jobs back", action="jobs_handed_back", jobs=len(flights))
        for flight in flights:
            flight.given_up = True
        try:
            self._keeper.save_checkpoints(flights)
            with transaction() as connection:
                jobs.hand_back(connection, [flight.fence for flight in flights])
        except (DatabaseUnavailable, DBAPIError) as error:
            log.warning("could not hand back", action="hand_back_failed", error=type(error).__name__)
        for flight in flights:
            self._task_events.handed_back(flight)
            flight.give_up()
            self._flights.remove(flight)

    def _hear(self, kind: str, job_ids: list[str], listener: str | None) -> None:
        if kind == events.CANCEL:
            for flight in self._flights.of(job_ids):
                flight.cancel()
        elif kind == events.LISTEN and listener is not None:
            self._broadcast.listen(job_ids, listener)
        elif kind == events.UNLISTEN and listener is not None:
            self._broadcast.unlisten(job_ids, listener)

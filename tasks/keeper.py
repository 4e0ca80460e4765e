"""Keeps what a worker owns its own: renews the lease, saves checkpoints, notices cancels and losses."""

import threading
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from tasks import jobs, stored_choices
from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.flight import Flight, Flights
from tasks.generation import progress_so_far
from tasks.models import Checkpoint, Job, JobStatus
from tasks.result import Choice
from tasks.settings import settings
from tasks.worker_identity import WorkerIdentity

log = structlog.get_logger(__name__)


class Keeper:
    """A thread beside the engine; each of its rounds may fail without harm, the next one makes up for it."""

    def __init__(self, identity: WorkerIdentity, flights: Flights) -> None:
        self._identity = identity
        self._flights = flights
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenmill-keeper", daemon=True)
        self._strays: set[tuple[str, int]] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        renewed_at = 0.0
        while not self._stopping.wait(settings().checkpoint_interval_seconds):
            try:
                if monotonic() - renewed_at >= settings().renew_interval_seconds:
                    self._identity.renew()
                    renewed_at = monotonic()
                    self.reconcile()
                self.save_checkpoints()
            except (DatabaseUnavailable, DBAPIError) as error:
                log.warning(
                    "database away, lease not renewed", action="renew_failed", error=type(error).__name__
                )
            except Exception:
                log.exception("round failed", action="keeper_failed")

    def reconcile(self) -> None:
        """Compare what the database says is ours with what is in the engine.

        Jobs that were taken from us are dropped; cancels whose message was lost are carried out;
        jobs that we own but do not run (a claim whose commit was not heard of) are queued again
        when they are seen a second time.
        """
        flying = self._flights.all()
        with transaction() as connection:
            owned = self._owned(connection)
        fences = {(row.id, row.attempt) for row in owned}
        for flight in flying:
            if flight.fence not in fences and not flight.landed.is_set():
                log.warning("job taken by another worker", action="job_lost", job_id=flight.job.id)
                flight.give_up()
                self._flights.remove(flight)
        to_cancel = [row.id for row in owned if row.cancel_requested_at is not None]
        for flight in self._flights.of(to_cancel):
            flight.cancel()
        # Looked at again: a job claimed since the first look has its flight by now.
        strays = (
            fences - {flight.fence for flight in flying} - {flight.fence for flight in self._flights.all()}
        )
        if again := strays & self._strays:
            log.warning("owned but not running", action="job_stray", jobs=len(again))
            with transaction() as connection:
                jobs.take_from_dead(connection, again)
        self._strays = strays - again

    def save_checkpoints(self, only: Iterable[Flight] | None = None) -> None:
        """Store the tokens that came since the last time, of jobs that are still ours."""
        news = []
        for flight in self._flights.all() if only is None else only:
            choices = [] if flight.running is None else progress_so_far(flight.job, flight.running.progress())
            tokens = sum(len(choice.token_ids) for choice in choices)
            if tokens > flight.saved_tokens:
                news.append((flight, choices, tokens))
        if not news:
            return
        rows = [_row(flight, choices) for flight, choices, _ in news]
        with transaction(durable=False) as connection:
            _upsert(connection, self._still_ours(connection, rows))
        for flight, _, tokens in news:
            flight.saved_tokens = tokens

    def _owned(self, connection: Connection) -> Sequence[Any]:
        query = select(Job.id, Job.attempt, Job.cancel_requested_at)
        return connection.execute(
            query.where(Job.owner == self._identity.id, Job.status == JobStatus.IN_PROGRESS)
        ).all()

    def _still_ours(self, connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Locked against an ending at the same moment, which would leave the checkpoint behind."""
        query = (
            select(Job.id, Job.attempt)
            .where(
                Job.id.in_([row["job_id"] for row in rows]),
                Job.owner == self._identity.id,
                Job.status == JobStatus.IN_PROGRESS,
            )
            .order_by(Job.id)
            .with_for_update(read=True)
        )
        ours = {(row.id, row.attempt) for row in connection.execute(query)}
        return [row for row in rows if (row["job_id"], row["attempt"]) in ours]


def _row(flight: Flight, choices: list[Choice]) -> dict[str, Any]:
    plain = flight.job.plain
    return {
        "job_id": flight.job.id,
        "attempt": flight.job.attempt,
        "token_ids": list(choices[0].token_ids) if plain else [],
        "text": stored_choices.stored_text(choices[0].text),
        "choices": None if plain else stored_choices.to_json(choices),
    }


def _upsert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = insert(Checkpoint).values(rows)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[Checkpoint.job_id],
            set_={
                "attempt": new.attempt,
                "token_ids": new.token_ids,
                "text": new.text,
                "choices": new.choices,
                "saved_at": new.saved_at,
            },
        )
    )

"""Workers that die at the worst moments, each with its jobs taken from it as the platform does."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text

from tasks import claiming, jobs
from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus

CrashPoint = Literal["while_claiming", "after_claiming", "while_ending", "after_ending", "frozen"]


@dataclass(frozen=True, slots=True)
class Fate:
    """How a job ends once its attempts have died where ``crashes`` says, one after the other."""

    status: JobStatus
    crashes: tuple[CrashPoint, ...] = ()


class CrashingWorkers:
    """Threads that work through messages until none is left; every death delivers its message again."""

    def __init__(self, fates: Sequence[tuple[str, Fate]], *, threads: int = 4) -> None:
        self._messages = deque(job_id for job_id, _ in fates)
        self._fates = dict(fates)
        self._crashes = {job_id: deque(fate.crashes) for job_id, fate in fates}
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            try:
                job_id = self._messages.popleft()
            except IndexError:
                return
            if self._dies(job_id):
                self._messages.append(job_id)

    def _dies(self, message: str) -> bool:
        crashes = self._crashes[message]
        crash = crashes.popleft() if crashes else None
        try:
            job = _claim(message, dies=crash == "while_claiming")
        except DatabaseUnavailable:
            return True
        if job is None:
            return False
        ending = _ending(job, self._fates[job.id].status)
        if crash in ("after_claiming", "frozen"):
            _take(job)
            # A frozen worker wakes up and goes on as if nothing had happened.
            return crash == "after_claiming" or _end(ending) == []
        try:
            _end(ending, dies=crash == "while_ending")
        except DatabaseUnavailable:
            _take(job)
            return True
        # Its process died between the commit and the acknowledgement.
        return crash == "after_ending" and _end(ending) == []


def _claim(job_id: str, *, dies: bool) -> ClaimedJob | None:
    with transaction() as connection:
        job = claiming.claim(connection, job_id, "worker_crashing")
        if dies:
            _die(connection)
    return job


def _end(ending: Ending, *, dies: bool = False) -> list[str]:
    with transaction() as connection:
        ended = jobs.end(connection, [ending])
        if dies:
            _die(connection)
    return ended


def _take(job: ClaimedJob) -> None:
    with transaction() as connection:
        jobs.take_from_dead(connection, [(job.id, job.attempt)])


def _die(connection: Connection) -> None:
    connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def _ending(job: ClaimedJob, status: JobStatus) -> Ending:
    billed = status is not JobStatus.FAILED
    return Ending(
        job_id=job.id,
        attempt=job.attempt,
        status=status,
        output_text=" a time",
        output_token_ids=[1, 2, 3],
        finish_reason="stop",
        prompt_tokens=2 if billed else 0,
        completion_tokens=3 if billed else 0,
    )

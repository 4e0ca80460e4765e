"""Jobs that nobody is going to finish unless somebody looks: their worker is dead, or their time is up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import time

import structlog
from sqlalchemy import Select, func, select, update

from tasks import events, generation, job_limits, jobs
from tasks.db import transaction
from tasks.ids import earliest_id
from tasks.live_workers import dead
from tasks.models import Job, JobStatus, Worker
from tasks.plan import ServiceTier
from tasks.settings import settings

_BATCH = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _LostJob:
    id: str
    attempt: int
    worker_losses: int
    cancel_requested: bool
    expired: bool
    project_id: str
    request_id: str | None


def release(*, alone: bool = False) -> int:
    """Queue the jobs of dead workers again, or end those that have had their chances; returns how many.

    Whatever a dead worker's job ends as here, nothing is charged: that it was cut off is our fault.
    """
    count = 0
    while True:
        with transaction() as connection:
            lost = [_LostJob(*row) for row in connection.execute(_lost_query(alone))]
            endings = [ending for job in lost if (ending := _ending(job)) is not None]
            ended = jobs.end(connection, endings)
            ending_ids = {ending.job_id for ending in endings}
            requeued = [(job.id, job.attempt) for job in lost if job.id not in ending_ids]
            jobs.take_from_dead(connection, requeued)
        for job in lost:
            log.warning(
                "worker lost",
                action="worker_lost",
                job_id=job.id,
                project_id=job.project_id,
                request_id=job.request_id,
                attempt=job.attempt,
            )
        if ended:
            job_limits.settle_ended(endings, ended)
            events.publish(events.ENDED, ended)
        count += len(lost)
        if len(lost) < _BATCH:
            break
    _bury(alone)
    return count


def expire() -> int:
    """End queued jobs whose time is up; returns how many. Running ones are ended by their engine."""
    overdue = (
        select(Job.id, Job.attempt)
        .where(Job.status == JobStatus.QUEUED, Job.expires_at <= func.now())
        .order_by(Job.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    return _end_all(overdue, generation.expired) + _expire_unbegun()


def _expire_unbegun() -> int:
    """The same for jobs that nobody has begun for longer than they may wait."""
    limit_seconds = settings().queue_timeout_seconds
    if not limit_seconds:
        return 0
    message = f"Nobody began the job within the {limit_seconds:g} s that it may wait."
    count = 0
    for spec in settings().model_catalog():
        for tier in (ServiceTier.PRIORITY, ServiceTier.DEFAULT, ServiceTier.FLEX):
            late = _unbegun(spec.name, tier.rank, limit_seconds)
            count += _end_all(
                late, lambda job_id, attempt: generation.expired(job_id, attempt, "queue_timeout", message)
            )
    return count


def _unbegun(model: str, rank: int, limit_seconds: float) -> Select[str, int]:
    # By id as well, which the index of queued jobs has: clocks may differ by the minute that is added.
    newest = earliest_id("job", int((time() - limit_seconds + 60) * 1000))
    return (
        select(Job.id, Job.attempt)
        .where(
            Job.model == model,
            Job.rank == rank,
            Job.status == JobStatus.QUEUED,
            Job.batch_id.is_(None),
            Job.attempt == 0,
            Job.id < newest,
            Job.created_at <= func.now() - timedelta(seconds=limit_seconds),
        )
        .order_by(Job.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


def _end_all(due: Select[str, int], ending: Callable[[str, int], jobs.Ending]) -> int:
    """End queued jobs, which were never charged, until none is due any more; returns how many."""
    count = 0
    while True:
        with transaction() as connection:
            rows = connection.execute(due).all()
            ended = jobs.end(connection, [ending(row.id, row.attempt) for row in rows])
        if ended:
            job_limits.settle(dict.fromkeys(ended, 0))
            events.publish(events.ENDED, ended)
        count += len(ended)
        if len(rows) < _BATCH:
            return count


def _lost_query(alone: bool) -> Select[str, int, int, bool, bool, str, str | None]:
    return (
        select(
            Job.id,
            Job.attempt,
            Job.worker_losses,
            Job.cancel_requested_at.is_not(None),
            Job.expires_at <= func.now(),
            Job.project_id,
            Job.request_id,
        )
        .join(Worker, Worker.id == Job.owner)
        .where(Job.status == JobStatus.IN_PROGRESS, dead(alone=alone))
        .order_by(Job.id)
        .limit(_BATCH)
        .with_for_update(of=Job, skip_locked=True)
    )


def _ending(job: _LostJob) -> jobs.Ending | None:
    if job.cancel_requested:
        return jobs.Ending(job_id=job.id, attempt=job.attempt, status=JobStatus.CANCELLED)
    if job.expired:
        return generation.expired(job.id, job.attempt)
    if job.worker_losses + 1 >= settings().max_worker_losses:
        return jobs.Ending(
            job_id=job.id,
            attempt=job.attempt,
            status=JobStatus.FAILED,
            error_code="worker_lost",
            error_message=f"The worker died {settings().max_worker_losses} times on this job; "
            "nothing was charged.",
        )
    return None


def _bury(alone: bool) -> None:
    """A dead worker that is back to life takes this off itself again when it renews."""
    with transaction() as connection:
        connection.execute(
            update(Worker).where(Worker.stopped_at.is_(None), dead(alone=alone)).values(stopped_at=func.now())
        )

"""Ends of batches that are not the end of their last line: cancelled, expired, failed, or empty."""

import structlog
from sqlalchemy import func, select, update

from tasks import batch_progress, events, jobs, webhook_events
from tasks.batch import BatchStatus
from tasks.db import transaction
from tasks.models import Batch, Job, JobStatus

_CHUNK = 500

log = structlog.get_logger(__name__)


def end_due() -> int:
    """One round; returns how many batches ended in it. Raises DatabaseUnavailable."""
    ended = _expire()
    for batch_id in _that_stop():
        _cancel_queued(batch_id)
        _cancel_running(batch_id)
    return ended + _close_done()


def _expire() -> int:
    """Batches whose time is up end with the lines that have ended; nothing of theirs is fed any more.

    Their queued lines end as every job does that has expired, the running ones by their engine's clock.
    """
    overdue = Batch.expires_at <= func.now()
    with transaction() as connection:
        connection.execute(
            update(Batch)
            .where(Batch.status == BatchStatus.IN_PROGRESS, Batch.ends_as.is_(None), overdue)
            .values(ends_as=BatchStatus.EXPIRED)
        )
        expired = connection.execute(
            update(Batch)
            .where(Batch.status == BatchStatus.VALIDATING, overdue)
            .values(status=BatchStatus.EXPIRED, expired_at=func.now())
            .returning(Batch.id, Batch.project_id, Batch.status)
        ).all()
        webhook_events.batches_ended(connection, expired)
        return len(expired)


def _that_stop() -> list[str]:
    query = select(Batch.id).where(
        Batch.status.in_(batch_progress.STILL_OPEN),
        Batch.ends_as.in_((BatchStatus.CANCELLED, BatchStatus.FAILED)),
        Batch.unfinished > 0,
    )
    with transaction() as connection:
        return list(connection.execute(query).scalars())


def _cancel_queued(batch_id: str) -> None:
    query = (
        select(Job.id, Job.attempt)
        .where(Job.batch_id == batch_id, Job.status == JobStatus.QUEUED)
        .order_by(Job.id)
        .limit(_CHUNK)
        .with_for_update(skip_locked=True)
    )
    while True:
        with transaction() as connection:
            rows = connection.execute(query).all()
            endings = [
                jobs.Ending(job_id=row.id, attempt=row.attempt, status=JobStatus.CANCELLED) for row in rows
            ]
            jobs.end(connection, endings)
        if len(rows) < _CHUNK:
            return


def _cancel_running(batch_id: str) -> None:
    running = (
        select(Job.id)
        .where(
            Job.batch_id == batch_id,
            Job.status == JobStatus.IN_PROGRESS,
            Job.cancel_requested_at.is_(None),
        )
        .order_by(Job.id)
        .with_for_update()
    )
    with transaction() as connection:
        job_ids = list(connection.execute(running).scalars())
        for job_id in job_ids:
            jobs.request_cancel(connection, job_id)
    events.publish(events.CANCEL, job_ids)


def _close_done() -> int:
    """Batches without an unfinished line: cancelled before they had any, or with invalid ones only."""
    query = select(Batch.id).where(Batch.status.in_(batch_progress.STILL_OPEN), Batch.unfinished == 0)
    with transaction() as connection:
        return sum(
            batch_progress.close(connection, batch_id)
            for batch_id in connection.execute(query.order_by(Batch.id)).scalars().all()
        )

"""The outbox: queued rows that no broker has confirmed, or whose message the broker has lost."""

import time
from datetime import timedelta

import structlog
from kombu import Queue
from sqlalchemy import func, select, update

from tasks import jobs
from tasks.broker import connected
from tasks.db import transaction
from tasks.models import Job, JobStatus
from tasks.queue import ConfirmedPublisher, queue_for
from tasks.settings import settings
from tasks.tracing import publishing
from tasks.tracing.context import parse

_BATCH = 500
# Younger rows are still in the hands of the process that admitted them.
_GRACE = timedelta(seconds=2)

log = structlog.get_logger(__name__)


def relay() -> int:
    """Publish what is unpublished; returns how many. Raises BrokerUnavailable, DatabaseUnavailable.

    Rows are locked while they are published, so two relays never publish the same row.
    """
    publisher: ConfirmedPublisher | None = None
    count = 0
    query = (
        select(Job.id, Job.model, Job.traceparent, Job.tracestate)
        .where(
            Job.status == JobStatus.QUEUED,
            Job.published_at.is_(None),
            Job.batch_id.is_(None),
            (Job.created_at < func.now() - _GRACE) | (Job.attempt > 0),
        )
        .order_by(Job.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    try:
        while True:
            with transaction() as connection:
                rows = connection.execute(query).all()
                if rows:
                    begun_ns = time.time_ns()
                    publisher = publisher or ConfirmedPublisher()
                    publisher.publish([(row.id, row.model) for row in rows])
                    traces = [(row.id, row.model, parse(row.traceparent, row.tracestate)) for row in rows]
                    publishing.relayed(traces, begun_ns)
                    jobs.mark_published(connection, [row.id for row in rows])
                    count += len(rows)
            if len(rows) < _BATCH:
                return count
    finally:
        if publisher is not None:
            publisher.close()


def republish_lost() -> int:
    """Mark rows unpublished whose message must be gone: long published, and their queue is empty.

    A message may also sit unclaimed with a worker; then the job is published twice, which is
    harmless, and not again before the same time has passed.
    """
    stale = func.now() - timedelta(seconds=settings().republish_after_seconds)
    old = (Job.status == JobStatus.QUEUED, Job.batch_id.is_(None), Job.published_at < stale)
    with transaction() as connection:
        models = connection.execute(select(Job.model).where(*old).distinct()).scalars().all()
    count = 0
    for model in models:
        if depth(queue_for(model)) == 0:
            with transaction() as connection:
                statement = update(Job).where(*old, Job.model == model).values(published_at=None)
                count += connection.execute(statement).rowcount
    return count


def forget_published() -> None:
    """For a broker that lives in memory: after a restart nothing is published."""
    with transaction() as connection:
        connection.execute(
            update(Job)
            .where(Job.status == JobStatus.QUEUED, Job.published_at.is_not(None))
            .values(published_at=None, slice_id=None)
        )


def depth(queue: Queue) -> int:
    """Messages ready in a queue; 0 where there is no such queue. Raises BrokerUnavailable."""
    with connected() as connection:
        try:
            declared = queue(connection.default_channel).queue_declare(passive=True)
        except connection.channel_errors:
            return 0
        return int(declared.message_count)

"""Telling whoever runs a job who listens to it: in its row for workers to come, and by an event for the
one that already runs it."""

from sqlalchemy import ColumnElement, any_, func, literal, update

from tasks import events
from tasks.db import transaction
from tasks.models import Job, JobStatus

_NOT_ENDED = Job.status.in_((JobStatus.QUEUED, JobStatus.IN_PROGRESS))


def listen(job_id: str, listener: str) -> None:
    """Have the job's tokens sent to a queue, those so far first; asking again sends those again."""
    _write(job_id, func.array_append(Job.stream_to, listener), ~_told(listener))
    events.publish(events.LISTEN, [job_id], listener)


def unlisten(job_id: str, listener: str) -> None:
    """Have nothing more of the job sent to a queue."""
    _write(job_id, func.array_remove(Job.stream_to, listener), _told(listener))
    events.publish(events.UNLISTEN, [job_id], listener)


def _told(listener: str) -> ColumnElement[bool]:
    return literal(listener) == any_(Job.stream_to)


def _write(job_id: str, listeners: object, condition: ColumnElement[bool]) -> None:
    with transaction(durable=False) as connection:
        connection.execute(
            update(Job).where(Job.id == job_id, _NOT_ENDED, condition).values(stream_to=listeners)
        )

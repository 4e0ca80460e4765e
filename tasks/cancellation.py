"""Cancelling: at once while queued, at the next token while running."""

from sqlalchemy import ColumnElement, select

from tasks import events, job_limits, job_queries, jobs
from tasks.db import transaction
from tasks.errors import JobAlreadyEnded, JobNotFound
from tasks.job import JobRecord
from tasks.models import Job, JobStatus


def cancel_job(project_id: str, job_id: str) -> JobRecord:
    """Cancel a job; cancelling it again changes nothing.

    A running job's worker is told directly, and would find the mark at its next renewal if the
    message were lost.

    Raises:
        JobNotFound: also for another project's job.
        JobAlreadyEnded: it has completed, failed or expired.
    """
    _cancel(job_id, Job.project_id == project_id, Job.deleted_at.is_(None))
    return job_queries.get_job(project_id, job_id)


def cancel_any_job(job_id: str) -> JobStatus:
    """As ``cancel_job``, for the operator: a job of any project. Returns the status that it had.

    Raises JobNotFound, JobAlreadyEnded.
    """
    return _cancel(job_id)


def _cancel(job_id: str, *conditions: ColumnElement[bool]) -> JobStatus:
    query = (
        select(Job.status, Job.attempt)
        .where(Job.id == job_id, Job.batch_id.is_(None), *conditions)
        .with_for_update()
    )
    with transaction() as connection:
        row = connection.execute(query).first()
        if row is None:
            raise JobNotFound(f"There is no job {job_id!r}.", param="job_id")
        status = JobStatus(row.status)
        if status is JobStatus.QUEUED:
            jobs.end(connection, [_cancelled(job_id, row.attempt)])
        elif status is JobStatus.IN_PROGRESS:
            jobs.request_cancel(connection, job_id)
        elif status is not JobStatus.CANCELLED:
            raise JobAlreadyEnded(f"The job has already ended: it is {status.value}.")
    if status is JobStatus.QUEUED:
        job_limits.settle({job_id: 0})
        events.publish(events.ENDED, [job_id])
    elif status is JobStatus.IN_PROGRESS:
        events.publish(events.CANCEL, [job_id])
    return status


def _cancelled(job_id: str, attempt: int) -> jobs.Ending:
    return jobs.Ending(job_id=job_id, attempt=attempt, status=JobStatus.CANCELLED)

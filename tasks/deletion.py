"""Deleting a job: hidden at once; what it said is erased, what it cost stays in the books."""

from contextlib import suppress
from typing import Any

from sqlalchemy import func, select, update

from tasks import cancellation
from tasks.db import transaction
from tasks.errors import JobAlreadyEnded, JobNotFound
from tasks.models import Job

_BATCH = 500


def delete_job(project_id: str, job_id: str) -> None:
    """Hide a job from everybody and cancel it if it still runs. Raises JobNotFound."""
    with suppress(JobAlreadyEnded):
        cancellation.cancel_job(project_id, job_id)
    with transaction() as connection:
        deleted = connection.execute(
            update(Job)
            .where(
                Job.project_id == project_id,
                Job.id == job_id,
                Job.deleted_at.is_(None),
                Job.batch_id.is_(None),
            )
            .values(deleted_at=func.now())
        )
        if deleted.rowcount == 0:
            raise JobNotFound(f"There is no job {job_id!r}.", param="job_id")


def erase_deleted() -> int:
    """Empty the content of deleted jobs that have ended; returns how many."""
    wanted = (
        select(Job.id)
        .where(Job.deleted_at.is_not(None), Job.request != {}, Job.ended_at.is_not(None))
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    count = 0
    while True:
        with transaction() as connection:
            ids = connection.execute(wanted).scalars().all()
            connection.execute(update(Job).where(Job.id.in_(ids)).values(**_EMPTY))
        count += len(ids)
        if len(ids) < _BATCH:
            return count


_EMPTY: dict[str, Any] = {
    "request": {},
    "sampling": None,
    "metadata_": {},
    "prompt_token_ids": [],
    "output_text": None,
    "output_token_ids": None,
    "choices": None,
    "vectors": None,
}

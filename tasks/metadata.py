"""The pairs that a client puts on its job, which it may change at any time."""

from sqlalchemy import update

from tasks.db import transaction
from tasks.errors import JobNotFound
from tasks.models import Job


def set_metadata(project_id: str, job_id: str, metadata: dict[str, str]) -> None:
    """Replace all pairs. Raises JobNotFound."""
    statement = update(Job).where(Job.project_id == project_id, Job.id == job_id, Job.deleted_at.is_(None))
    with transaction() as connection:
        if connection.execute(statement.values(metadata_=metadata)).rowcount == 0:
            raise JobNotFound(f"There is no job {job_id!r}.", param="job_id")

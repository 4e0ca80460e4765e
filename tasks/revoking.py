"""Revoking a task, as Flower and Celery's own tools call it, cancels its job.

What Celery would do by itself is to have workers throw the task's message away. Its job would stay queued
and find no other message, and the message may have been another job's leave to run.
"""

import structlog

from tasks import cancellation
from tasks.errors import InvalidRequest
from tasks.models import JobStatus

log = structlog.get_logger(__name__)

_SLICE_PREFIX = "slice_"


def revoke(task_id: str) -> str:
    """Cancel the job that a task stands for; says in words what became of it.

    Raises:
        JobNotFound: no task, or a line of a batch.
        JobAlreadyEnded: there is nothing to cancel.
        InvalidRequest: the task is a slice.
    """
    if task_id.startswith(_SLICE_PREFIX):
        raise InvalidRequest(
            "A slice is a part of a batch and can't be revoked: cancel the batch.",
            param="task_id",
            code="slice_not_revocable",
        )
    had = cancellation.cancel_any_job(task_id)
    log.info("job revoked", action="job_revoked", job_id=task_id, status=had.value)
    if had is JobStatus.IN_PROGRESS:
        return f"{task_id} is cancelled at its next token."
    return f"{task_id} is cancelled."

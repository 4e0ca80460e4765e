"""Whether what came of a job is an answer, or which refusal or failure it is instead."""

from tasks.errors import JobCancelled, JobExpired, JobFailed, JobStillRunning
from tasks.models import JobStatus
from tasks.result import JobResult


def answered(result: JobResult) -> JobResult:
    """A job that completed, or was cut short with some output.

    Raises JobStillRunning, JobFailed, JobExpired, JobCancelled.
    """
    job = result.job
    if job.status is JobStatus.COMPLETED:
        return result
    if job.status is JobStatus.FAILED:
        raise JobFailed(job.error_message, code=job.error_code)
    if not job.status.ended:
        raise JobStillRunning(
            f"The job {job.id} has not ended yet. It goes on: read it at /v1/jobs/{job.id}. Sending the "
            "request again would start another."
        )
    if job.completion_tokens:
        return result
    if job.status is JobStatus.EXPIRED:
        raise JobExpired(job.error_message, code=job.error_code)
    raise JobCancelled(f"The job {job.id} was cancelled before it had any output.")

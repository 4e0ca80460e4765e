"""How the streams of chats and completions end: well, or with an error in the API's form."""

import json

from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.wire.chunks import Event

DONE = Event(data="[DONE]")
CANCELLED = ("job_cancelled", "The request was cancelled before it had an output.")


def failure_event(job: JobRecord) -> Event | None:
    """The error that ends a stream; None where the job has an output, be it one cut short."""
    if job.status is JobStatus.COMPLETED:
        return None
    if job.status is not JobStatus.FAILED and job.completion_tokens:
        return None
    code, message = CANCELLED if job.error_code is None else (job.error_code, job.error_message or "")
    error = {"message": message, "type": "server_error", "param": None, "code": code}
    return Event(data=json.dumps({"error": error}))

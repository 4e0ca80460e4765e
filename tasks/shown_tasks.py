"""What those who watch a worker, such as Flower, see of it: its jobs and slices as Celery's tasks.

Celery would show messages. But a message may run another job than the one it names, a job goes on when its
message has been acknowledged early, and slices do not come by Celery. So Celery's own events are switched
off, and these are sent instead: an id, the model, and how it went; nothing of what was asked or answered.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from tasks.flight import Flight
from tasks.jobs import Ending
from tasks.models import JobStatus

TaskEvent = dict[str, Any]
"""An event of Celery's protocol, its kind in ``type``."""

_REVOKED = (JobStatus.CANCELLED, JobStatus.EXPIRED)


@dataclass(slots=True)
class _Slice:
    id: str
    lines: int
    begun_at: float = field(default_factory=monotonic)
    outcomes: Counter[str] = field(default_factory=Counter)


class ShownTasks:
    """A worker's tasks, each function giving the events to send. Used by one thread."""

    def __init__(self, model: str) -> None:
        self._job_name = f"job of {model}"
        self._slice_name = f"batch slice of {model}"
        self._slices: dict[Flight, _Slice] = {}

    def received(self, job_id: str) -> list[TaskEvent]:
        """A worker has the job's message."""
        return [_event("received", job_id, retries=0, **self._named(job_id))]

    def started(self, flight: Flight) -> list[TaskEvent]:
        """The job was claimed. Its message may yet be to come: another's was leave to run it."""
        job = flight.job
        return [_event("started", job.id, retries=job.attempt - 1, **self._named(job.id))]

    def slice_started(self, slice_id: str, flights: Sequence[Flight]) -> list[TaskEvent]:
        """The slice's lines were claimed. One without lines left is nothing to show."""
        if not flights:
            return []
        run = _Slice(slice_id, len(flights))
        self._slices |= dict.fromkeys(flights, run)
        args, kwargs = f"('{flights[0].job.batch_id}',)", f"{{'lines': {len(flights)}}}"
        named = {"name": self._slice_name, "args": args, "kwargs": kwargs, "retries": 0}
        return [_event("received", slice_id, **named), _event("started", slice_id)]

    def gone(self, flight: Flight) -> list[TaskEvent]:
        """The flight is over here: its ending is committed, or somebody else's to write."""
        run = self._slices.pop(flight, None)
        if run is not None:
            return self._line_gone(run, flight)
        if flight.job.batch_id is None and flight.ended_as is not None:
            return [_ended(flight.ended_as, monotonic() - flight.begun_at)]
        return []

    def handed_back(self, flight: Flight) -> list[TaskEvent]:
        """Another worker is to run the job."""
        if flight.job.batch_id is not None:
            return []
        return [_event("retried", flight.job.id, exception="handed back", traceback=None)]

    def ended_unclaimed(self, job_id: str, status: JobStatus) -> list[TaskEvent]:
        """The job had ended before its message came."""
        return [_revoked(job_id, status)] if status in _REVOKED else []

    def _named(self, job_id: str) -> dict[str, str]:
        return {"name": self._job_name, "args": f"('{job_id}',)", "kwargs": "{}"}

    def _line_gone(self, run: _Slice, flight: Flight) -> list[TaskEvent]:
        run.lines -= 1
        run.outcomes["handed back" if flight.ended_as is None else flight.ended_as.status.value] += 1
        if run.lines:
            return []
        result = ", ".join(f"{count} {outcome}" for outcome, count in sorted(run.outcomes.items()))
        return [_event("succeeded", run.id, result=result, runtime=monotonic() - run.begun_at)]


def _ended(ending: Ending, runtime_seconds: float) -> TaskEvent:
    if ending.status in _REVOKED:
        return _revoked(ending.job_id, ending.status)
    if ending.status is JobStatus.FAILED:
        # The code alone: a message may quote the request.
        return _event("failed", ending.job_id, exception=ending.error_code, traceback=None)
    result = f"{ending.prompt_tokens} input ({ending.cached_tokens} cached), "
    result += f"{ending.completion_tokens} output tokens"
    return _event("succeeded", ending.job_id, result=result, runtime=runtime_seconds)


def _revoked(job_id: str, status: JobStatus) -> TaskEvent:
    expired = status is JobStatus.EXPIRED
    return _event("revoked", job_id, terminated=False, signum=None, expired=expired)


def _event(kind: str, task_id: str, **fields: object) -> TaskEvent:
    return {"type": f"task-{kind}", "uuid": task_id, "timestamp": time(), **fields}

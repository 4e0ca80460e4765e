"""Whose the jobs are that run here, for every line about one: the engine's too, which knows only its name."""

from collections.abc import Mapping

from structlog.typing import EventDict, WrappedLogger

from tasks.ids import JOB_PREFIX

_of_jobs: dict[str, Mapping[str, str]] = {}


def remember(job_id: str, fields: Mapping[str, str]) -> None:
    """Lines about this job say so, until it is forgotten."""
    _of_jobs[job_id] = fields


def forget(job_id: str) -> None:
    _of_jobs.pop(job_id, None)


def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A line that names a job says the rest of it; what a line says itself stays."""
    request_id = event.get("request_id")
    # The engine's requests are named after their job and the place of their output in it.
    if isinstance(request_id, str) and request_id.startswith(JOB_PREFIX):
        event["job_id"] = event.pop("request_id").partition("/")[0]
    for name, value in _of_jobs.get(event.get("job_id", ""), {}).items():
        event.setdefault(name, value)
    return event

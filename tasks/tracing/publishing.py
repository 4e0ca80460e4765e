"""The step in which a job's id gets to the broker: behind the request's back, or by the relay."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tasks.tracing import recording
from tasks.tracing.context import TraceContext, current

if TYPE_CHECKING:
    from tasks.tracing.tracer import Span

_NAME = "publish"
_begun: dict[str, "Span"] = {}


def begin(job_id: str, model: str) -> None:
    """The job that the current step made waits to be published."""
    context = current()
    recorder = None if context is None else recording.tracer("web")
    if recorder is not None:
        _begun[job_id] = recorder.begin(_NAME, "producer", context, _attributes(job_id, model))


def end(job_ids: Iterable[str], error: Exception | None = None) -> None:
    """The broker has confirmed them; or, after ``error``, they are left to the relay."""
    if not _begun:
        return
    for job_id in job_ids:
        span = _begun.pop(job_id, None)
        if span is not None:
            if error is not None:
                span.fail(type(error).__name__)
            span.end()


def relayed(jobs: Sequence[tuple[str, str, TraceContext | None]], begun_ns: int) -> None:
    """The relay has published jobs, given by id, model and what they belong to."""
    recorder = recording.tracer("scheduler") if any(context for _, _, context in jobs) else None
    if recorder is None:
        return
    ended_ns = time.time_ns()
    for job_id, model, context in jobs:
        if context is not None:
            span = recorder.begin(_NAME, "producer", context, _attributes(job_id, model), begun_ns=begun_ns)
            span.end(ended_ns)


def _attributes(job_id: str, model: str) -> dict[str, str]:
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "send",
        "gen_ai.request.model": model,
        "tokenmill.job.id": job_id,
    }

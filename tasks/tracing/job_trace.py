"""One attempt at a job in its worker, told as steps when it is over."""

import time
from typing import TYPE_CHECKING

from inference.request import Timing
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus
from tasks.tracing import recording

if TYPE_CHECKING:
    from tasks.tracing.tracer import Attributes, Span, Tracer

_OPERATIONS = {"chat": "chat", "response": "chat", "completion": "text_completion", "embedding": "embeddings"}


class JobTrace:
    """The step ``job``, and below it those of its claim, its engine and its commit."""

    def __init__(self, recorder: "Tracer", span: "Span") -> None:
        self._recorder = recorder
        self._span = span

    def end(self, ending: Ending, *, committed: bool, commit_begun_ns: int) -> None:
        """Its ending has just been written, or was not its own to write any more."""
        if self._span.over:
            return
        now_ns = time.time_ns()
        for name, begun, ended in _engine_steps(ending.timing):
            self._record(name, _wall_ns(begun), _wall_ns(ended))
        self._record("commit", commit_begun_ns, now_ns)
        self._span.note(_outcome(ending) if committed else {"tokenmill.job.status": "taken_over"})
        if ending.status is JobStatus.FAILED:
            self._span.fail(ending.error_code or "failed")
        self._span.end(now_ns)

    def give_up(self) -> None:
        """Somebody else goes on with the job."""
        self._span.note({"tokenmill.job.status": "handed_back"})
        self._span.end()

    def _record(self, name: str, begun_ns: int, ended_ns: int) -> None:
        self._recorder.record(name, self._span.context, begun_ns, ended_ns, {})


def begin(job: ClaimedJob, asked_ns: int) -> JobTrace | None:
    """A job that was just claimed, which took since ``asked_ns``; None where tracing is off.

    A line of a batch has a trace of its own, linked to its batch's: all lines in one would be too large
    to look at.
    """
    recorder = recording.tracer("worker")
    if recorder is None:
        return None
    is_line = job.batch_id is not None
    span = recorder.begin(
        "job",
        "consumer",
        None if is_line else job.trace,
        _attributes(job),
        begun_ns=asked_ns,
        linked=job.trace if is_line else None,
    )
    claimed_ns = time.time_ns()
    if job.attempt == 1 and not is_line and job.trace is not None:
        # By the database's clock, so that it does not matter whose clock is wrong.
        queued_ns = claimed_ns - int(job.waited_seconds * 1e9)
        recorder.record("queue", job.trace, queued_ns, asked_ns, {"tokenmill.job.id": job.id})
    recorder.record("claim", span.context, asked_ns, claimed_ns, {})
    return JobTrace(recorder, span)


def _engine_steps(timing: Timing | None) -> list[tuple[str, float, float]]:
    """Names, beginnings and ends, in ``time.monotonic()`` seconds; none for a job that never ran."""
    if timing is None:
        return []
    if timing.started_at is None:
        return [("wait", timing.arrived_at, timing.ended_at)]
    steps = [("wait", timing.arrived_at, timing.started_at)]
    if timing.first_token_at is None:
        return [*steps, ("prefill", timing.started_at, timing.ended_at)]
    steps.append(("prefill", timing.started_at, timing.first_token_at))
    return [*steps, ("decode", timing.first_token_at, timing.ended_at)]


def _wall_ns(monotonic_seconds: float) -> int:
    return time.time_ns() - int((time.monotonic() - monotonic_seconds) * 1e9)


def _attributes(job: ClaimedJob) -> "Attributes":
    return {
        "gen_ai.operation.name": _OPERATIONS[job.type],
        "gen_ai.provider.name": "tokenmill",
        "gen_ai.request.model": job.model,
        "gen_ai.request.max_tokens": job.sampling.params.max_tokens,
        "tokenmill.job.id": job.id,
        "tokenmill.job.attempt": job.attempt,
        "tokenmill.project.id": job.project_id,
        "tokenmill.request.id": job.request_id,
        "tokenmill.batch.id": job.batch_id,
    }


def _outcome(ending: Ending) -> "Attributes":
    return {
        "gen_ai.usage.input_tokens": ending.prompt_tokens,
        "gen_ai.usage.output_tokens": ending.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": ending.cached_tokens,
        "gen_ai.response.finish_reasons": None if ending.finish_reason is None else [ending.finish_reason],
        "tokenmill.job.status": ending.status.value,
    }

"""Runs claimed jobs on the encoder."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Protocol

from inference.embedding_request import EmbeddingListener, EmbeddingOutcome, EmbeddingRequest
from inference.request import OutcomeStatus, Progress, Timing
from tasks import generation
from tasks.flight import News, Running
from tasks.jobs import ClaimedJob, Ending
from tasks.models import JobStatus


class Cancellable(Protocol):
    """What the encoder returns for a request it took."""

    def cancel(self) -> None: ...


class EmbeddingEncoder(Protocol):
    """What is needed of the encoder."""

    def submit(self, request: EmbeddingRequest, listener: EmbeddingListener | None = None) -> Cancellable: ...


class VectorEngine:
    """Takes embedding jobs."""

    def __init__(self, encoder: EmbeddingEncoder) -> None:
        self._encoder = encoder

    def run(self, job: ClaimedJob, on_news: News, on_end: Callable[[Ending], None]) -> Running:
        """Start a job; there is no news before its end. Raises InvalidGeneration, EngineStopped."""
        arrived_at = monotonic()

        def hear(outcome: EmbeddingOutcome) -> None:
            timing = Timing(arrived_at, arrived_at, None, monotonic())
            on_end(replace(vectors_ending(job, outcome), timing=timing))

        request = EmbeddingRequest(
            request_id=job.id,
            inputs=job.prompts,
            dimensions=job.request.get("dimensions"),
            priority=-job.rank,
            deadline_seconds=arrived_at + job.time_left_seconds,
        )
        return _RunningEmbedding(self._encoder.submit(request, hear))


class _RunningEmbedding:
    def __init__(self, pending: Cancellable) -> None:
        self._pending = pending

    def cancel(self) -> None:
        self._pending.cancel()

    def progress(self) -> list[Progress]:
        return []


def vectors_ending(job: ClaimedJob, outcome: EmbeddingOutcome) -> Ending:
    """How an embedding job ends: all vectors and their bill, or nothing."""
    if outcome.status is OutcomeStatus.CANCELLED:
        return Ending(job_id=job.id, attempt=job.attempt, status=JobStatus.CANCELLED)
    if outcome.status is OutcomeStatus.EXPIRED:
        return generation.out_of_time(job)
    if outcome.vectors is None:
        return generation.failed(
            job, "engine_error", "The model failed on this request; nothing was charged."
        )
    end = Ending(job_id=job.id, attempt=job.attempt, status=JobStatus.COMPLETED, finish_reason="stop")
    return replace(
        end, vectors=outcome.vectors.astype("<f4").tobytes(), prompt_tokens=outcome.usage.prompt_tokens
    )

"""Runs claimed jobs on the engine that generates: all outputs of a job as one."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from inference.choices import Choices, submit_choices
from inference.request import (
    GenerationRequest,
    Listener,
    Outcome,
    OutcomeStatus,
    Progress,
    Timing,
    TokenEvent,
    Usage,
)
from tasks import generation
from tasks.flight import News, Running
from tasks.jobs import ClaimedJob, Ending

OnEnd = Callable[[Ending], None]


class RunningRequest(Protocol):
    """What the engine returns for a request it took."""

    def cancel(self) -> None: ...

    def wait(self, timeout_seconds: float | None = None) -> Outcome | None: ...

    def progress(self) -> Progress: ...


class GeneratingEngine(Protocol):
    """What is needed of the engine."""

    def submit(self, request: GenerationRequest, listener: Listener | None = None) -> RunningRequest: ...


class TextEngine:
    """Takes jobs of every endpoint that generates text."""

    def __init__(self, engine: GeneratingEngine) -> None:
        self._engine = engine

    def run(self, job: ClaimedJob, on_news: News, on_end: OnEnd) -> Running:
        """Start a job; both are called on the engine's thread. Raises InvalidGeneration, EngineStopped."""
        running = RunningJob(job, on_news, on_end)
        running.start(self._engine)
        return running


class RunningJob:
    """The outputs of one job. Any thread may use it."""

    def __init__(self, job: ClaimedJob, on_news: News, on_end: OnEnd) -> None:
        self._job = job
        self._on_news = on_news
        self._on_end = on_end
        self._prompts: list[Choices] = []
        self._outcomes: dict[int, Outcome] = {}
        self._lock = threading.Lock()
        self._started = False

    def start(self, engine: GeneratingEngine) -> None:
        """Submit every prompt or, where the engine refuses one, none."""
        n = self._job.sampling.n
        try:
            for place, request in enumerate(generation.engine_requests(self._job)):
                self._prompts.append(
                    submit_choices(
                        engine,
                        request,
                        n,
                        self._job.sampling.best_of,
                        partial(self._hear, place * n),
                        generation.saved_tokens(self._job, place),
                    )
                )
        except BaseException:
            self.cancel()
            raise
        # The outcomes may all have come before the last submission returned.
        with self._lock:
            self._started = True
            ended = self._has_ended()
        if ended:
            self._end()

    def cancel(self) -> None:
        for choices in self._prompts:
            choices.cancel()

    def progress(self) -> list[Progress]:
        """The outputs so far, where they are those that will be returned."""
        if self._job.sampling.best_of > self._job.sampling.n:
            return []
        return [progress for choices in self._prompts for progress in choices.progress()]

    def _hear(self, first: int, index: int, event: TokenEvent | Outcome) -> None:
        if isinstance(event, TokenEvent):
            if event.token_ids:
                self._on_news(first + index, event)
            return
        if event.status is OutcomeStatus.FAILED:
            self.cancel()
        with self._lock:
            self._outcomes[first + index] = event
            ended = self._has_ended()
        if ended:
            self._end()

    def _has_ended(self) -> bool:
        return self._started and len(self._outcomes) == len(self._job.prompts) * self._job.sampling.n

    def _end(self) -> None:
        outcomes = [outcome for _, outcome in sorted(self._outcomes.items())]
        ending = generation.ending(self._job, outcomes, _total(self._prompts))
        self._on_end(replace(ending, timing=_of_all(outcome.timing for outcome in outcomes)))


def _of_all(timings: Iterable[Timing | None]) -> Timing | None:
    """Several outputs as one: each moment is that of the first to come there, but for the end."""
    known = [timing for timing in timings if timing is not None]
    if not known:
        return None
    return Timing(
        min(timing.arrived_at for timing in known),
        min((timing.started_at for timing in known if timing.started_at is not None), default=None),
        min((timing.first_token_at for timing in known if timing.first_token_at is not None), default=None),
        max(timing.ended_at for timing in known),
    )


def _total(prompts: Sequence[Choices]) -> Usage:
    usages = [choices.usage() for choices in prompts]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
    )

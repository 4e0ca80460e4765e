"""A job's tokens as they come, then its end, whichever worker runs it and whatever dies meanwhile.

What a worker sends, what a checkpoint holds and what a finished row holds are the same tokens at the same
positions, so they are put together here by position, and their text is made of them anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import structlog

from inference.transcript import Transcript
from tasks import job_results, listening, stream_hub, waiting
from tasks.errors import DatabaseUnavailable
from tasks.models import JobStatus
from tasks.planning import find_model, renderer_of
from tasks.replay import Replay
from tasks.result import JobResult
from tasks.streams import Tokens
from tasks.token_log import TokenLog
from tasks.turns import Turns
from tasks.wire.chunks import Piece

HEARTBEAT_SECONDS = 15.0
# A running job that is not heard of for this long is looked at.
_SILENCE_SECONDS = 2.0
# What was asked for again is given this long to come.
_PATIENCE_SECONDS = 1.0

# More would only wait for the interpreter.
_turns = Turns(4)

log = structlog.get_logger(__name__)

Item = Sequence[Piece] | JobResult | None


class JobStream:
    """One who follows a job. Made by :func:`open_stream`; one thread reads, others bring the news.

    ``followed`` is whether a worker was told to send tokens here and may still be at it.
    """

    def __init__(self, job_id: str, address: str) -> None:
        self.job_id = job_id
        self.address = address
        self.followed = False
        self._news = _turns.bell()
        self._logs: dict[int, TokenLog] = {}
        self._ended = False
        self._missed = False
        self._interrupted = False
        self._heard_at = self._asked_at = monotonic()

    def receive(self, tokens: Tokens) -> None:
        """Tokens from the worker."""
        self._heard_at = monotonic()
        output = self._log(tokens.choice)
        output.add(tokens.start, tokens.token_ids, tokens.logprobs)
        if output.has_gap and self._heard_at - self._asked_at > _PATIENCE_SECONDS:
            self._missed = True
        self._news.ring()

    def miss(self) -> None:
        """Tokens from the worker may have been lost."""
        self._missed = True
        self._news.ring()

    def hear(self, status: JobStatus | None) -> None:
        """How the job stands; None when it has just ended."""
        if status is None or status.ended:
            self._ended = True
            self._news.ring()
        elif status is JobStatus.IN_PROGRESS and monotonic() - self._heard_at > _SILENCE_SECONDS:
            self.miss()

    def interrupt(self) -> None:
        """Have the reader look up: it is given None at once."""
        self._interrupted = True
        self._news.ring()

    def begin(self, project_id: str) -> JobResult:
        """The job as it stands, which ``follow`` goes on from. Raises JobNotFound."""
        result = job_results.get_result(project_id, self.job_id)
        self.followed = not result.job.status.ended
        return result

    def listen(self) -> None:
        """Have a job that was not told of this listener at its birth send its tokens here."""
        self.followed = True
        self._asked_at = monotonic()
        listening.listen(self.job_id, self.address)

    def follow(self, first: JobResult) -> Iterator[Item]:
        """Pieces in order, a few at a time, each exactly once, and the ended job last.

        None means that there was nothing to say for a while, or ``interrupt``. Raises JobNotFound
        when the job is deleted meanwhile.
        """
        replays = self._replays(first)
        ended = self._take(first)
        spoke_at = monotonic()
        while True:
            for replay in replays:
                for pieces in replay.news():
                    yield pieces
                    spoke_at = monotonic()
            if ended is not None:
                self.followed = False
                yield from _end(ended, replays)
                return
            woken = self._news.wait(max(0.0, spoke_at + HEARTBEAT_SECONDS - monotonic()))
            if self._interrupted or not woken:
                self._interrupted = False
                yield None
                spoke_at = monotonic()
            if self._ended or self._missed:
                ended = self._look(first.job.project_id)

    def pause(self) -> None:
        """The reader is about to do what may take long, such as sending what it was given."""
        self._news.done()

    def close(self) -> None:
        """The reader reads no more."""
        self._news.close()

    def _look(self, project_id: str) -> JobResult | None:
        """Take what the database has; the result once the job has ended."""
        self.pause()
        missed, self._missed = self._missed, False
        try:
            ended = self._take(job_results.get_result(project_id, self.job_id))
            if ended is None and missed:
                self.listen()
        except DatabaseUnavailable:
            # Told again at the next look for everybody, which is when the database is back.
            log.warning("database away, stream waits", action="stream_deferred", job_id=self.job_id)
            return None
        self._ended = False
        return ended

    def _take(self, result: JobResult) -> JobResult | None:
        ended = result.job.status.ended
        # Of several candidates, none is an output before the end.
        if ended or result.best_of == result.n:
            for index, choice in enumerate(result.choices):
                self._log(index).add(0, choice.token_ids, choice.logprobs)
        return result if ended else None

    def _log(self, choice: int) -> TokenLog:
        # In one step, for two threads may come here at once.
        return self._logs.setdefault(choice, TokenLog())

    def _replays(self, first: JobResult) -> list[Replay]:
        if not first.choices:
            return []
        renderer = renderer_of(find_model(first.job.model))
        return [
            Replay(
                index,
                self._log(index),
                Transcript(first.params, renderer.eos_token_ids, renderer.token_bytes),
            )
            for index in range(len(first.choices))
        ]


@contextmanager
def open_stream(job_id: str) -> Iterator[JobStream]:
    """Be all ears for a job, from before it is submitted if need be."""
    hub = stream_hub.hub()
    stream = JobStream(job_id, hub.address)
    hub.enter(job_id, stream)
    try:
        with waiting.told(job_id, stream.hear):
            yield stream
    finally:
        stream.close()
        if hub.leave(job_id, stream) and stream.followed:
            _unlisten(stream)


def _unlisten(stream: JobStream) -> None:
    try:
        listening.unlisten(stream.job_id, stream.address)
    except DatabaseUnavailable:
        log.warning("tokens still come", action="unlisten_failed", job_id=stream.job_id)


def _end(ended: JobResult, replays: Sequence[Replay]) -> Iterator[Item]:
    if ended.job.status is not JobStatus.FAILED:
        yield from filter(None, (replay.tail() for replay in replays))
    yield ended

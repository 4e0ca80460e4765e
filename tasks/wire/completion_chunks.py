"""A completion's stream: its job's tokens as they come, made into chunks. Pure."""

from collections.abc import Iterator

from inference.prompts import PromptRenderer
from tasks.ids import COMPLETION_PREFIX, shown_as
from tasks.result import JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.completion_body import CompletionChunk, CompletionChunkChoice
from tasks.wire.completion_request import CompletionRequest
from tasks.wire.completions import prompt_texts
from tasks.wire.logprobs import CompletionScores
from tasks.wire.stream_end import DONE, failure_event
from tasks.wire.usage import completion_usage


class CompletionChunks:
    """The renderer of one stream."""

    def __init__(self, request: CompletionRequest, renderer: PromptRenderer) -> None:
        self._renderer = renderer
        self._echoes = prompt_texts(request, renderer) if request.echo else []
        self._logprobs = request.logprobs is not None
        self._usage = request.includes_usage
        self._scores: list[CompletionScores] = []

    def begin(self, result: JobResult) -> Iterator[Event]:
        self._job = result.job
        self._id = shown_as(result.job.id, COMPLETION_PREFIX)
        self._created = int(result.job.created_at.timestamp())
        self._scores = [CompletionScores(self._renderer) for _ in result.choices]
        for prompt, echo in enumerate(self._echoes):
            for number in range(result.n):
                yield self._event(_next(prompt * result.n + number, echo))

    def piece(self, piece: Piece) -> Iterator[Event]:
        scored = self._logprobs and piece.logprob is not None
        if not piece.text and not scored:
            return
        choice = _next(piece.choice, piece.text)
        if scored and piece.logprob is not None:
            choice.logprobs = self._scores[piece.choice].output([piece.logprob])
        yield self._event(choice)

    def end(self, result: JobResult) -> Iterator[Event]:
        failure = failure_event(result.job)
        if failure is not None:
            yield failure
            return
        fingerprint = result.job.system_fingerprint
        for index, choice in enumerate(result.choices):
            last = _next(index, "")
            last.finish_reason = choice.finish_reason or "length"
            yield self._event(last, fingerprint)
        if self._usage:
            chunk = self._chunk([], fingerprint)
            chunk.usage = completion_usage(result.job)
            yield Event(data=chunk.model_dump_json())
        yield DONE

    def _event(self, choice: CompletionChunkChoice, fingerprint: str | None = None) -> Event:
        chunk = self._chunk([choice], fingerprint)
        return Event(data=chunk.model_dump_json(exclude=None if self._usage else {"usage"}))

    def _chunk(self, choices: list[CompletionChunkChoice], fingerprint: str | None) -> CompletionChunk:
        return CompletionChunk(
            id=self._id,
            object="text_completion",
            created=self._created,
            model=self._job.model,
            choices=choices,
            service_tier=self._job.service_tier,
            system_fingerprint=fingerprint,
        )


def _next(index: int, text: str) -> CompletionChunkChoice:
    return CompletionChunkChoice(index=index, text=text, logprobs=None, finish_reason=None)

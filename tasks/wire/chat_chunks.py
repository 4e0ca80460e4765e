"""A chat's stream: its job's tokens as they come, made into chunks. Pure."""

from collections.abc import Iterator, Sequence

from inference.output_parser import CallArguments, CallStarted, OutputParser, OutputPart, TextPart
from inference.prompts import PromptRenderer
from tasks.ids import CHAT_COMPLETION_PREFIX, shown_as
from tasks.result import JobResult
from tasks.wire.chat_body import (
    ChatChunk,
    ChatChunkChoice,
    ChatDelta,
    FinishReason,
    FunctionDelta,
    ToolCallDelta,
)
from tasks.wire.chat_completions import call_id, finish_reason
from tasks.wire.chat_request import ChatCompletionRequest
from tasks.wire.chat_tools import tool_use
from tasks.wire.chunks import Event, Piece
from tasks.wire.logprobs import ChatLogprobs, ChatScores
from tasks.wire.stream_end import DONE, failure_event
from tasks.wire.usage import completion_usage


class ChatChunks:
    """The renderer of one stream."""

    def __init__(self, request: ChatCompletionRequest, renderer: PromptRenderer) -> None:
        self._renderer = renderer
        self._tools = tool_use(request)
        self._older = request.functions is not None
        self._logprobs = bool(request.logprobs)
        self._scores: list[ChatScores] = []
        self._usage = request.includes_usage
        self._parsers: list[OutputParser] = []
        self._calls: list[int] = []
        self._texts: set[int] = set()

    def begin(self, result: JobResult) -> Iterator[Event]:
        self._job = result.job
        self._id = shown_as(result.job.id, CHAT_COMPLETION_PREFIX)
        self._created = int(result.job.created_at.timestamp())
        for index in range(len(result.choices)):
            if self._tools is not None:
                self._parsers.append(OutputParser(self._renderer.tool_format, self._tools))
            self._calls.append(0)
            self._scores.append(ChatScores(self._renderer))
            yield self._event(index, self._first_delta())

    def piece(self, piece: Piece) -> Iterator[Event]:
        logprobs = self._take_scores(piece) if self._logprobs else None
        if not piece.text:
            return
        parts: Sequence[OutputPart] = [TextPart(piece.text)]
        if self._parsers:
            parts = self._parsers[piece.choice].push(piece.text)
        yield from self._deltas(piece.choice, parts, logprobs)

    def end(self, result: JobResult) -> Iterator[Event]:
        for index, parser in enumerate(self._parsers):
            yield from self._deltas(index, parser.finish())
        failure = failure_event(result.job)
        if failure is not None:
            yield failure
            return
        self._job = result.job
        for index, choice in enumerate(result.choices):
            reason = finish_reason(choice, calls=self._calls[index] > 0, older=self._older)
            yield self._event(
                index, self._last_delta(index), finish=reason, fingerprint=result.job.system_fingerprint
            )
        if self._usage:
            yield self._usage_event(result)
        yield DONE

    def _take_scores(self, piece: Piece) -> ChatLogprobs | None:
        scores = self._scores[piece.choice]
        if piece.logprob is not None:
            scores.add(piece.logprob)
        taken = scores.take(piece.text)
        return taken if taken.content else None

    def _deltas(
        self, index: int, parts: Sequence[OutputPart], logprobs: ChatLogprobs | None = None
    ) -> Iterator[Event]:
        """Log-probabilities go with the first chunk that their text leads to, if need be an empty one."""
        deltas = [delta for part in parts if (delta := self._delta(index, part)) is not None]
        if logprobs is not None and not deltas:
            deltas = [ChatDelta()]
        for number, delta in enumerate(deltas):
            yield self._event(index, delta, logprobs=None if number else logprobs)

    def _delta(self, index: int, part: OutputPart) -> ChatDelta | None:
        match part:
            case TextPart(text):
                self._texts.add(index)
                return ChatDelta(content=text)
            case CallStarted(number, name):
                self._calls[index] = number + 1
                return self._started(index, number, name)
            case CallArguments(number, text):
                function = FunctionDelta(arguments=text)
                if self._older:
                    return ChatDelta(function_call=function)
                return ChatDelta(tool_calls=[ToolCallDelta(index=number, function=function)])
            case _:
                return None

    def _first_delta(self) -> ChatDelta:
        """With tools it is not known yet whether there will be any text."""
        return ChatDelta(role="assistant") if self._parsers else ChatDelta(role="assistant", content="")

    def _last_delta(self, index: int) -> ChatDelta:
        """An answer is never nothing: without calls it is a text, if need be an empty one."""
        silent = self._parsers and not self._calls[index] and index not in self._texts
        return ChatDelta(content="") if silent else ChatDelta()

    def _started(self, index: int, number: int, name: str) -> ChatDelta:
        function = FunctionDelta(name=name, arguments="")
        if self._older:
            return ChatDelta(function_call=function)
        started = ToolCallDelta(
            index=number, id=call_id(self._job.id, index, number), type="function", function=function
        )
        return ChatDelta(tool_calls=[started])

    def _event(
        self,
        index: int,
        delta: ChatDelta,
        *,
        logprobs: ChatLogprobs | None = None,
        finish: FinishReason | None = None,
        fingerprint: str | None = None,
    ) -> Event:
        choice = ChatChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=finish)
        chunk = self._chunk([choice], fingerprint)
        if self._usage:
            chunk.usage = None
        return Event(data=chunk.model_dump_json(exclude_unset=True))

    def _usage_event(self, result: JobResult) -> Event:
        chunk = self._chunk([], result.job.system_fingerprint)
        chunk.usage = completion_usage(result.job)
        # Its details are at their defaults, which would be left out as unset.
        return Event(data=chunk.model_dump_json())

    def _chunk(self, choices: list[ChatChunkChoice], fingerprint: str | None) -> ChatChunk:
        return ChatChunk(
            id=self._id,
            object="chat.completion.chunk",
            created=self._created,
            model=self._job.model,
            choices=choices,
            service_tier=self._job.service_tier,
            system_fingerprint=fingerprint,
        )

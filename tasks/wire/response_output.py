"""From what a model wrote to the items of a response's output, as it comes or all at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.output_parser import CallArguments, CallEnded, CallStarted, OutputParser, OutputPart, TextPart
from inference.prompts import PromptRenderer
from inference.request import TokenLogprob
from tasks.models import JobStatus
from tasks.result import JobResult
from tasks.wire.item_ids import call_id, digits_of, item_id
from tasks.wire.logprobs import ChatScores, ChatTokenLogprob
from tasks.wire.response_items import ItemStatus
from tasks.wire.response_tools import stored_tool_use
from tasks.wire.shown_items import (
    OutputItem,
    OutputTextContent,
    ShownFunctionCall,
    ShownMessage,
)


@dataclass(slots=True)
class Draft:
    """An item of the output while it is written: a message, or the call of the function ``name``."""

    index: int
    number: int
    name: str | None = None
    text: str = ""
    status: ItemStatus = "in_progress"
    logprobs: list[ChatTokenLogprob] = field(default_factory=list)

    def id(self, digits: str) -> str:
        return item_id("message" if self.name is None else "function_call", digits, self.number)

    def shown(self, digits: str) -> OutputItem:
        if self.name is None:
            content = OutputTextContent(text=self.text, logprobs=self.logprobs)
            return ShownMessage(id=self.id(digits), role="assistant", status=self.status, content=[content])
        return ShownFunctionCall(
            id=self.id(digits),
            status=self.status,
            call_id=call_id(digits, self.number),
            name=self.name,
            arguments=self.text,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    draft: Draft


@dataclass(frozen=True, slots=True)
class Grown:
    draft: Draft
    text: str
    logprobs: list[ChatTokenLogprob]


@dataclass(frozen=True, slots=True)
class Closed:
    draft: Draft


Change = Opened | Grown | Closed


class OutputReader:
    """Takes an output apart into items; says what changes.

    ``request`` is the body as it is kept. Without a ``renderer``, of a model that is no longer there,
    the text is one message as it stands.
    """

    def __init__(self, request: dict[str, Any], renderer: PromptRenderer | None) -> None:
        self.drafts: list[Draft] = []
        self._first_number = len(request.get("input", ()))
        tools = stored_tool_use(request)
        self._parser = (
            None if renderer is None or tools is None else OutputParser(renderer.tool_format, tools)
        )
        self._scores = ChatScores(renderer) if renderer is not None and request.get("include") else None
        self._blank = ""

    def score(self, logprob: TokenLogprob) -> None:
        """The next token's log-probability, ahead of the text that it completed."""
        if self._scores is not None:
            self._scores.add(logprob)

    def push(self, text: str) -> Iterator[Change]:
        """The next piece of the output."""
        if text:
            yield from self._take([TextPart(text)] if self._parser is None else self._parser.push(text))

    def finish(self, status: ItemStatus, *, owes_message: bool) -> Iterator[Change]:
        """The output has ended: its last message has this status, and a call that is not complete has none.

        An output without any text is an empty message where one is owed.
        """
        if self._parser is not None:
            yield from self._take(self._parser.finish())
        if not self.drafts and owes_message:
            yield self._open(None)
        last = self._open_draft()
        if last is not None:
            yield self._close(last, status if last.name is None else "incomplete")

    def _take(self, parts: Iterable[OutputPart]) -> Iterator[Change]:
        for part in parts:
            match part:
                case TextPart(text):
                    yield from self._text(text)
                case CallStarted(name=name):
                    yield from self._close_message()
                    yield self._open(name)
                case CallArguments(text=text):
                    self.drafts[-1].text += text
                    yield Grown(self.drafts[-1], text, [])
                case CallEnded():
                    yield self._close(self.drafts[-1], "completed")

    def _text(self, text: str) -> Iterator[Change]:
        last = self._open_draft()
        if last is None:
            # Blanks around calls are no message.
            if self.drafts and not text.strip():
                self._blank += text
                return
            text, self._blank = self._blank + text, ""
            opened = self._open(None)
            last = opened.draft
            yield opened
        last.text += text
        logprobs = self._scores.take(text).content if self._scores is not None and last.index == 0 else []
        last.logprobs += logprobs
        yield Grown(last, text, logprobs)

    def _close_message(self) -> Iterator[Change]:
        self._blank = ""
        last = self._open_draft()
        if last is not None:
            yield self._close(last, "completed")

    def _open_draft(self) -> Draft | None:
        return self.drafts[-1] if self.drafts and self.drafts[-1].status == "in_progress" else None

    def _open(self, name: str | None) -> Opened:
        index = len(self.drafts)
        self.drafts.append(Draft(index, self._first_number + index, name))
        return Opened(self.drafts[-1])

    @staticmethod
    def _close(draft: Draft, status: ItemStatus) -> Closed:
        draft.status = status
        return Closed(draft)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a response's job has written so far, or in the end."""

    job_id: str
    request: dict[str, Any]
    status: JobStatus
    text: str
    finish_reason: str | None
    logprobs: Sequence[TokenLogprob] = ()


def written_by(result: JobResult) -> Written:
    choice = result.choices[0]
    return Written(
        job_id=result.job.id,
        request=result.request,
        status=result.job.status,
        text=choice.text,
        finish_reason=choice.finish_reason,
        logprobs=choice.logprobs,
    )


def finish_output(reader: OutputReader, written: Written) -> Iterator[Change]:
    """The end of the output of a job that has ended, however it did."""
    completed = written.status is JobStatus.COMPLETED
    whole = completed and written.finish_reason != "length"
    return reader.finish("completed" if whole else "incomplete", owes_message=completed)


def output_items(written: Written, renderer: PromptRenderer | None) -> list[OutputItem]:
    """The output, as far as it is there."""
    reader = OutputReader(written.request, renderer)
    for logprob in written.logprobs:
        reader.score(logprob)
    changes = [*reader.push(written.text)]
    if written.status.ended:
        changes += finish_output(reader, written)
    digits = digits_of(written.job_id)
    return [change.draft.shown(digits) for change in changes if isinstance(change, Opened)]

"""The events of a response's stream, made of its tokens: begun again, it is the same to the last number."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from inference.prompts import PromptRenderer
from tasks.result import JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.item_ids import digits_of
from tasks.wire.response_body import ResponseBody, ResponseStatus, opening_body, response_body
from tasks.wire.response_output import (
    Change,
    Closed,
    Draft,
    Grown,
    Opened,
    OutputReader,
    finish_output,
    written_by,
)
from tasks.wire.shown_items import OutputTextContent

# The API knows no event of its own for a response that was cancelled; its status tells.
_ENDS: dict[ResponseStatus, str] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "cancelled": "response.incomplete",
    "failed": "response.failed",
}


class ResponseEvents:
    """Makes the events of one stream; a Renderer.

    ``renderer`` is the model's, None for one that is no longer there.
    """

    def __init__(self, renderer: PromptRenderer | None) -> None:
        self._renderer = renderer
        self._number = 0
        self._digits = ""
        self._started: ResponseBody | None = None
        self._reader = OutputReader({}, None)

    def begin(self, result: JobResult) -> Iterable[Event]:
        self._digits = digits_of(result.job.id)
        self._reader = OutputReader(result.request, self._renderer)
        body = opening_body(result, "queued" if result.request.get("background") else "in_progress")
        self._started = body.model_copy(update={"status": "in_progress"})
        yield self._response("response.created", body)
        if body.status == "queued":
            yield self._response("response.queued", body)
        else:
            yield from self._start()

    def piece(self, piece: Piece) -> Iterable[Event]:
        yield from self._start()
        if piece.logprob is not None:
            self._reader.score(piece.logprob)
        for change in self._reader.push(piece.text):
            yield from self._changed(change)

    def end(self, result: JobResult) -> Iterable[Event]:
        yield from self._start()
        for change in finish_output(self._reader, written_by(result)):
            yield from self._changed(change)
        body = response_body(result, self._renderer)
        yield self._response(_ENDS[body.status], body)

    def _start(self) -> Iterator[Event]:
        """One in the background is in progress from its first token on."""
        if self._started is not None:
            yield self._response("response.in_progress", self._started)
            self._started = None

    def _changed(self, change: Change) -> Iterator[Event]:
        match change:
            case Opened(draft):
                yield self._item("response.output_item.added", draft)
                if draft.name is None:
                    yield self._part("response.content_part.added", draft, part=_content(draft))
            case Grown(draft, text) if draft.name is not None:
                yield self._of("response.function_call_arguments.delta", draft, delta=text)
            case Grown(draft, text, logprobs):
                shown = [one.model_dump() for one in logprobs]
                yield self._part("response.output_text.delta", draft, delta=text, logprobs=shown)
            case Closed(draft):
                yield from self._closed(draft)

    def _closed(self, draft: Draft) -> Iterator[Event]:
        if draft.name is None:
            content = _content(draft)
            text = {"text": draft.text, "logprobs": content["logprobs"]}
            yield self._part("response.output_text.done", draft, **text)
            yield self._part("response.content_part.done", draft, part=content)
        else:
            done = {"name": draft.name, "arguments": draft.text}
            yield self._of("response.function_call_arguments.done", draft, **done)
        yield self._item("response.output_item.done", draft)

    def _item(self, kind: str, draft: Draft) -> Event:
        item: dict[str, Any] = draft.shown(self._digits).model_dump()
        if kind.endswith("added") and draft.name is None:
            item["content"] = []
        return self._event(kind, output_index=draft.index, item=item)

    def _part(self, kind: str, draft: Draft, **fields: Any) -> Event:
        return self._of(kind, draft, content_index=0, **fields)

    def _of(self, kind: str, draft: Draft, **fields: Any) -> Event:
        return self._event(kind, item_id=draft.id(self._digits), output_index=draft.index, **fields)

    def _response(self, kind: str, body: ResponseBody) -> Event:
        return self._event(kind, response=body.model_dump(mode="json", by_alias=True))

    def _event(self, kind: str, **fields: Any) -> Event:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return Event(data=json.dumps(event, separators=(",", ":")), event=kind)


def _content(draft: Draft) -> dict[str, Any]:
    content = OutputTextContent(text=draft.text, logprobs=draft.logprobs)
    return content.model_dump()

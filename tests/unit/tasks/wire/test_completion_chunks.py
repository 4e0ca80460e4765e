"""A completion's stream: joined, it is the body, however its text was cut."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from tasks.models import JobStatus
from tasks.planning import find_model, renderer_of
from tasks.result import JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.completion_chunks import CompletionChunks
from tasks.wire.completion_request import COMPLETION_REQUEST
from tasks.wire.completions import completion_body
from tests.unit.tasks.wire.results import DIGITS, choice_of, make_result, pieces_of

RENDERER = renderer_of(find_model("smollm2"))
STREAM: dict[str, Any] = {"model": "smollm2", "prompt": ["x ", "y "], "n": 2, "stream": True}
LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


def events(request: dict[str, Any], result: JobResult, pieces: list[Piece]) -> list[Event]:
    chunks = CompletionChunks(COMPLETION_REQUEST.validate_python(request), RENDERER)
    told = list(chunks.begin(result))
    for piece in pieces:
        told += chunks.piece(piece)
    return told + list(chunks.end(result))


def joined(told: list[Event]) -> list[dict[str, Any]]:
    assert told[-1].data == "[DONE]"
    choices: dict[int, dict[str, Any]] = {}
    for event in told[:-1]:
        chunk = json.loads(event.data)
        assert chunk["id"] == f"cmpl-{DIGITS}"
        for choice in chunk["choices"]:
            whole = choices.setdefault(
                choice["index"], {"text": "", "logprobs": {name: [] for name in LISTS}}
            )
            whole["text"] += choice["text"]
            whole["finish_reason"] = choice["finish_reason"]
            for name, values in (choice["logprobs"] or {}).items():
                whole["logprobs"][name] += values
    return [choices[index] for index in sorted(choices)]


def whole(result: JobResult) -> list[dict[str, Any]]:
    return [
        {
            "text": choice.text,
            "logprobs": choice.logprobs.model_dump() if choice.logprobs else {name: [] for name in LISTS},
            "finish_reason": choice.finish_reason,
        }
        for choice in completion_body(result).choices
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("aé漢🙂 \n.x", max_size=20), min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["stop", "length"]),
    st.data(),
)
def test_chunks_joined_are_the_body(
    texts: list[str], scored: bool, echo: bool, finish: str, data: st.DataObject
) -> None:
    request = {**STREAM, "echo": echo and not scored, "logprobs": 2 if scored else None}
    choices = [choice_of(text, RENDERER, finish_reason=finish, scored=scored) for text in texts]
    result = make_result(request, choices, prompts=2)
    queues = [pieces_of(choice, index, RENDERER) for index, choice in enumerate(choices)]
    pieces = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        pieces.append(data.draw(st.sampled_from(waiting), label="next").pop(0))
    assert joined(events(request, result, pieces)) == whole(result)


def test_usage_comes_last_and_is_null_before() -> None:
    request = {"model": "smollm2", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    result = make_result(request, [choice_of("a b", RENDERER)])
    told = [
        json.loads(event.data)
        for event in events(request, result, pieces_of(result.choices[0], 0, RENDERER))[:-1]
    ]
    assert [chunk["usage"] for chunk in told[:-1]] == [None] * (len(told) - 1)
    assert (told[-1]["choices"], told[-1]["usage"]["total_tokens"]) == ([], 8)
    assert Completion.model_validate(told[-1]).usage is not None


def test_failure_is_an_error_event_and_no_done() -> None:
    request = {"model": "smollm2", "prompt": "x", "stream": True}
    result = make_result(
        request,
        [choice_of("a", RENDERER)],
        status=JobStatus.FAILED,
        error_code="engine_error",
        error_message="Oh.",
    )
    assert json.loads(events(request, result, [])[-1].data)["error"]["code"] == "engine_error"

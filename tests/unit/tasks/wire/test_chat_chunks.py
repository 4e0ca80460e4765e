"""A chat's stream: joined, it is the body, however its text was cut."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from inference.prompts import PromptRenderer
from tasks.models import JobStatus
from tasks.planning import find_model, renderer_of
from tasks.result import Choice, JobResult
from tasks.wire.chat_chunks import ChatChunks
from tasks.wire.chat_completions import chat_body
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tasks.wire.chunks import Event, Piece
from tests.unit.tasks.wire.results import DIGITS, choice_of, make_result, pieces_of

RENDERER = renderer_of(find_model("smollm2"))
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
STREAM: dict[str, Any] = {
    "model": "smollm2",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}]}
CALLS = RENDERER.tool_format.write([("f", '{"a": 1}'), ("f", '{"a": 22}')])


def events(request: dict[str, Any], result: JobResult, pieces: list[Piece]) -> list[Event]:
    chunks = ChatChunks(CHAT_COMPLETION_REQUEST.validate_python(request), RENDERER)
    told = list(chunks.begin(result))
    for piece in pieces:
        told += chunks.piece(piece)
    return told + list(chunks.end(result))


def chunks_of(told: list[Event]) -> list[ChatCompletionChunk]:
    assert told[-1].data == "[DONE]"
    return [ChatCompletionChunk.model_validate(json.loads(event.data), strict=True) for event in told[:-1]]


def joined(told: list[Event]) -> list[dict[str, Any]]:
    """Each choice put together as clients do it."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks_of(told):
        for choice in chunk.choices:
            whole = choices.setdefault(choice.index, {"content": None, "calls": [], "logprobs": []})
            if choice.delta.content is not None:
                whole["content"] = (whole["content"] or "") + choice.delta.content
            whole["finish_reason"] = choice.finish_reason
            for call in choice.delta.tool_calls or ():
                if call.id is not None:
                    assert call.index == len(whole["calls"])
                    whole["calls"].append([call.id, "", ""])
                assert call.function is not None
                whole["calls"][call.index][1] += call.function.name or ""
                whole["calls"][call.index][2] += call.function.arguments or ""
            if choice.logprobs is not None:
                whole["logprobs"] += [entry.model_dump() for entry in choice.logprobs.content or ()]
    return [choices[index] for index in sorted(choices)]


def whole(request: dict[str, Any], result: JobResult) -> list[dict[str, Any]]:
    """The same of the body."""
    return [
        {
            "content": choice.message.content,
            "calls": [
                [call.id, call.function.name, call.function.arguments]
                for call in choice.message.tool_calls or ()
            ],
            "finish_reason": choice.finish_reason,
            "logprobs": [entry.model_dump() for entry in choice.logprobs.content] if choice.logprobs else [],
        }
        for choice in chat_body(result).choices
    ]


TEXTS = st.lists(
    st.sampled_from(["Hello", " ", "漢字", "é", "<tool", "_call>", '{"name"', CALLS, "\n", "🙂", "a."]),
    max_size=8,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=3),
    st.sampled_from(["stop", "length"]),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_chunks_joined_are_the_body(
    texts: list[str], finish: str, scored: bool, tools: bool, data: st.DataObject
) -> None:
    request = {**STREAM, **(TOOLS if tools else {}), "logprobs": scored, "n": len(texts)}
    choices = [choice_of(text, RENDERER, finish_reason=finish, scored=scored) for text in texts]
    result = make_result(request, choices)
    queues = [pieces_of(choice, index, RENDERER) for index, choice in enumerate(choices)]
    pieces = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        pieces.append(data.draw(st.sampled_from(waiting), label="next").pop(0))
    assert joined(events(request, result, pieces)) == whole(request, result)


def result_of(*texts: str, request: dict[str, Any] = STREAM, **changes: Any) -> tuple[JobResult, list[Piece]]:
    choices = [choice_of(text, RENDERER) for text in texts]
    pieces = [piece for index, one in enumerate(choices) for piece in pieces_of(one, index, RENDERER)]
    return make_result(request, choices, **changes), pieces


def test_stream_begins_with_the_role_and_ends_with_reason_usage_and_done() -> None:
    result, pieces = result_of("Hi there")
    chunks = chunks_of(events(STREAM, result, pieces))
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{DIGITS}"}
    assert (chunks[0].choices[0].delta.role, chunks[0].choices[0].delta.content) == ("assistant", "")
    *before, finish, usage = chunks
    assert [chunk.choices[0].delta.content for chunk in before[1:]] == ["Hi", " there"]
    assert all(chunk.choices[0].finish_reason is None for chunk in before)
    assert finish.choices[0].finish_reason == "stop"
    assert finish.choices[0].delta.to_dict() == {}
    assert usage.choices == []
    assert usage.usage is not None
    assert (usage.usage.prompt_tokens, usage.usage.completion_tokens) == (5, 3)


def test_usage_is_null_before_its_chunk_and_absent_where_nobody_asked() -> None:
    result, pieces = result_of("Hi")
    asked = [json.loads(event.data) for event in events(STREAM, result, pieces)[:-1]]
    assert [chunk["usage"] for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    plain = {key: value for key, value in STREAM.items() if key != "stream_options"}
    unasked = [json.loads(event.data) for event in events(plain, result, pieces)[:-1]]
    assert not any("usage" in chunk for chunk in unasked)
    assert all(chunk["choices"] for chunk in unasked)


def test_call_begins_with_its_id_and_name() -> None:
    request = {**STREAM, **TOOLS}
    result, pieces = result_of(CALLS, request=request)
    deltas = [chunk.choices[0].delta for chunk in chunks_of(events(request, result, pieces)) if chunk.choices]
    starts = [call for delta in deltas for call in delta.tool_calls or () if call.id]
    assert [call.id for call in starts] == [f"call_{DIGITS}_0_0", f"call_{DIGITS}_0_1"]
    assert all(call.type == "function" and call.function and call.function.name == "f" for call in starts)
    assert len(deltas) > 8


def test_older_function_is_streamed_in_the_older_form() -> None:
    request = {**STREAM, "functions": [FUNCTION]}
    text = RENDERER.tool_format.write([("f", '{"a": 1}')])
    result, pieces = result_of(text, request=request)
    choices = [choice for chunk in chunks_of(events(request, result, pieces)) for choice in chunk.choices]
    calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
    assert "".join(call.name or "" for call in calls) == "f"
    assert "".join(call.arguments or "" for call in calls) == '{"a": 1}'
    assert choices[-1].finish_reason == "function_call"


def test_stream_begun_again_has_the_same_events() -> None:
    """The job may have been queued the first time, and ended the next."""
    result, pieces = result_of("Hi there", "and you")
    waiting = make_result(
        STREAM,
        [Choice(text="", token_ids=())] * 2,
        status=JobStatus.QUEUED,
        system_fingerprint=None,
        completion_tokens=None,
    )
    first = ChatChunks(CHAT_COMPLETION_REQUEST.validate_python(STREAM), RENDERER)
    told = [*first.begin(waiting)]
    for piece in pieces:
        told += first.piece(piece)
    assert [*told, *first.end(result)] == events(STREAM, result, pieces)


def test_failure_is_an_error_event_and_no_done() -> None:
    result, pieces = result_of("Hi", status=JobStatus.FAILED, error_code="engine_error", error_message="Oh.")
    last = json.loads(events(STREAM, result, pieces)[-1].data)
    assert last == {
        "error": {"message": "Oh.", "type": "server_error", "param": None, "code": "engine_error"}
    }


def test_cancelled_before_any_output_is_an_error_event() -> None:
    result, _ = result_of("", status=JobStatus.CANCELLED, completion_tokens=None)
    last = json.loads(events(STREAM, result, [])[-1].data)
    assert last["error"]["code"] == "job_cancelled"


def test_cut_short_with_an_output_ends_like_any_stream() -> None:
    result = make_result(
        STREAM,
        [choice_of("Hi", RENDERER, finish_reason=None)],
        status=JobStatus.EXPIRED,
        error_code="job_expired",
    )
    chunks = chunks_of(events(STREAM, result, pieces_of(result.choices[0], 0, RENDERER)))
    assert chunks[-2].choices[0].finish_reason == "length"


def test_renderer_is_that_of_the_model(renderer: PromptRenderer) -> None:
    assert renderer is RENDERER

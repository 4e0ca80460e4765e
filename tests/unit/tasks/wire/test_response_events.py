"""The stream of a response: whatever the cuts, the events are the body that comes of them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from inference.detokenize import Detokenizer
from inference.request import TokenLogprob
from tasks.models import JobStatus
from tasks.result import JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.response_body import response_body
from tasks.wire.response_events import ResponseEvents
from tests.unit.tasks.wire.responses import DIGITS, FUNCTION, RENDERER, response, unfinished

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
SDK_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

texts = st.sampled_from(
    [
        "",
        "Paris.",
        "Zürich 🏔",
        CALL,
        f"Let me see.\n{CALL}",
        f"{CALL}\n{CALL}",
        CALL.replace("\n</tool_call>", "\n</tool_call>\n<tool_call>\n") + CALL[len("<tool_call>\n") :],
        CALL[:20],
        CALL[:50],
        f"{CALL} and that is it",
        "<tool_call> is how a call begins",
    ]
)
requests = st.sampled_from([{}, {"tools": [FUNCTION]}, {"background": True, "tools": [FUNCTION]}])
endings = st.sampled_from(
    [
        (JobStatus.COMPLETED, "stop"),
        (JobStatus.COMPLETED, "length"),
        (JobStatus.CANCELLED, None),
        (JobStatus.FAILED, None),
        (JobStatus.EXPIRED, None),
    ]
)


def pieces(texts: Iterable[str]) -> list[Piece]:
    numbers = count(1)
    return [Piece(choice=0, position=next(numbers), text=text, token_id=1) for text in texts]


def events_of(result: JobResult, parts: Iterable[Piece], begun_with: JobResult | None = None) -> list[Event]:
    renderer = ResponseEvents(RENDERER)
    events = [*renderer.begin(begun_with or unfinished(result))]
    for piece in parts:
        events += renderer.piece(piece)
    return [*events, *renderer.end(result)]


def data(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The events as JSON; the SDK's types are strict about all of them."""
    shown = []
    for event in events:
        SDK_EVENT.validate_json(event.data)
        shown.append(json.loads(event.data))
        assert event.event == shown[-1]["type"]
    return shown


def cut(text: str, places: Iterable[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(bounds)] or [""]


@given(texts, requests, endings, st.lists(st.integers(0, 200), max_size=12))
def test_events_lead_to_the_body_whatever_the_cuts(
    text: str, request: dict[str, Any], ending: tuple[JobStatus, str | None], places: list[int]
) -> None:
    result = response(text, request=request, status=ending[0], finish_reason=ending[1])
    shown = data(events_of(result, pieces(cut(text, places))))
    body = response_body(result, RENDERER).model_dump(mode="json", by_alias=True)
    assert [event["sequence_number"] for event in shown] == list(range(len(shown)))
    assert shown[-1]["response"] == body
    done = [event["item"] for event in shown if event["type"] == "response.output_item.done"]
    assert done == body["output"]
    added = [event["item"]["id"] for event in shown if event["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in body["output"]]
    assert rebuilt(shown) == {item["id"]: text_of(item) for item in body["output"]}


@given(texts, requests, endings, st.lists(st.integers(0, 200), max_size=12))
def test_stream_begun_again_is_the_same_to_the_last_byte(
    text: str, request: dict[str, Any], ending: tuple[JobStatus, str | None], places: list[int]
) -> None:
    result = response(text, request=request, status=ending[0], finish_reason=ending[1])
    parts = pieces(cut(text, places))
    first = events_of(result, parts)
    running = replace(result, job=replace(result.job, status=JobStatus.IN_PROGRESS, ended_at=None))
    for seen_at_the_start in (result, running):
        assert events_of(result, parts, begun_with=seen_at_the_start) == first


def rebuilt(shown: list[dict[str, Any]]) -> dict[str, str]:
    """What a client puts together of the deltas."""
    texts: dict[str, str] = {}
    for event in shown:
        if event["type"] == "response.output_item.added":
            texts[event["item"]["id"]] = ""
        elif event["type"] in ("response.output_text.delta", "response.function_call_arguments.delta"):
            texts[event["item_id"]] += event["delta"]
    return texts


def text_of(item: dict[str, Any]) -> str:
    text: str = item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
    return text


def test_message_is_streamed_in_the_order_of_the_api() -> None:
    shown = data(events_of(response("Paris."), pieces(["Par", "", "is."])))
    assert [event["type"].removeprefix("response.") for event in shown] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert shown[0]["response"]["id"] == f"resp_{DIGITS}"
    assert shown[0]["response"]["output"] == []
    assert shown[2]["item"]["content"] == []


def test_call_is_streamed_with_its_name_first_and_then_its_arguments() -> None:
    shown = data(events_of(response(CALL, request={"tools": [FUNCTION]}), pieces(CALL)))
    kinds = [event["type"].removeprefix("response.") for event in shown]
    assert kinds[2] == "output_item.added"
    assert (shown[2]["item"]["name"], shown[2]["item"]["arguments"]) == ("weather", "")
    assert set(kinds[3:-3]) == {"function_call_arguments.delta"}
    assert kinds[-3:] == ["function_call_arguments.done", "output_item.done", "completed"]
    assert shown[-3]["arguments"] == '{"city": "Zürich"}'


def test_one_in_the_background_is_queued_until_its_first_token() -> None:
    renderer = ResponseEvents(RENDERER)
    result = response("x", request={"background": True})
    begun = data(renderer.begin(unfinished(result)))
    assert [event["type"] for event in begun] == ["response.created", "response.queued"]
    assert {event["response"]["status"] for event in begun} == {"queued"}
    first = data(renderer.piece(Piece(choice=0, position=1, text="x")))
    assert (first[0]["type"], first[0]["response"]["status"]) == ("response.in_progress", "in_progress")
    assert "response.in_progress" not in {event["type"] for event in data(renderer.end(result))}


@pytest.mark.parametrize(
    ("status", "finish_reason", "kind", "shown"),
    [
        (JobStatus.COMPLETED, "stop", "response.completed", "completed"),
        (JobStatus.COMPLETED, "length", "response.incomplete", "incomplete"),
        (JobStatus.CANCELLED, None, "response.incomplete", "cancelled"),
        (JobStatus.FAILED, None, "response.failed", "failed"),
        (JobStatus.EXPIRED, None, "response.failed", "failed"),
    ],
)
def test_last_event_tells_the_ending(
    status: JobStatus, finish_reason: str | None, kind: str, shown: str
) -> None:
    result = response("so far", status=status, finish_reason=finish_reason)
    last = data(events_of(result, pieces(["so far"])))[-1]
    assert (last["type"], last["response"]["status"]) == (kind, shown)


def test_deltas_carry_the_logprobs_of_their_tokens() -> None:
    text = "A née 🏔 mountain"
    token_ids = [*RENDERER.plain(text), *RENDERER.eos_token_ids]
    scores = tuple(TokenLogprob(one, -0.25, ((one, -0.25),)) for one in token_ids)
    detokenizer = Detokenizer(RENDERER.token_bytes)
    parts = [
        Piece(
            choice=0,
            position=place,
            text=detokenizer.push(score.token_id),
            token_id=score.token_id,
            logprob=score,
        )
        for place, score in enumerate(scores, start=1)
    ]
    request = {"include": ["message.output_text.logprobs"]}
    shown = data(events_of(response(text, request=request, logprobs=scores), parts))
    deltas = [event for event in shown if event["type"] == "response.output_text.delta"]
    assert all(event["logprobs"] for event in deltas)
    (done,) = (event for event in shown if event["type"] == "response.output_text.done")
    assert bytes(byte for one in done["logprobs"] for byte in one["bytes"]).decode() == text
    assert done["logprobs"] == [one for event in deltas for one in event["logprobs"]]
    assert shown[-1]["response"]["output"][0]["content"][0]["logprobs"] == done["logprobs"]

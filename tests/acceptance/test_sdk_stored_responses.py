"""Responses that are kept: read, resumed, gone on from, cancelled and deleted with the OpenAI SDK."""

import time
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.acceptance.sdk_responses import COUNTING, create, create_stream


def until_ended(sdk: openai.OpenAI, response_id: str) -> Response:
    for _ in range(600):
        response = sdk.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response
        time.sleep(0.05)
    raise AssertionError(f"never ended: {response.status}")


def test_one_in_the_background_is_answered_at_once_and_read_later(sdk: openai.OpenAI) -> None:
    queued = create(sdk, background=True)
    assert (queued.status, queued.output, queued.background) == ("queued", [], True)
    ended = until_ended(sdk, queued.id)
    assert ended.status == "completed"
    assert "Paris" in ended.output_text
    assert sdk.responses.cancel(queued.id) == ended


def test_one_in_the_background_is_cancelled(sdk: openai.OpenAI) -> None:
    queued = create(sdk, input=COUNTING, background=True, max_output_tokens=4000)
    sdk.responses.cancel(queued.id)
    sdk.responses.cancel(queued.id)
    ended = until_ended(sdk, queued.id)
    assert ended.status == "cancelled"
    assert ended.usage is not None
    assert ended.usage.output_tokens < 4000
    assert sdk.responses.cancel(queued.id) == ended


def test_one_in_the_foreground_is_not_to_be_cancelled(sdk: openai.OpenAI) -> None:
    response = create(sdk)
    with pytest.raises(openai.BadRequestError, match="background"):
        sdk.responses.cancel(response.id)


def test_stream_in_the_background_is_resumed_where_it_was_left(sdk: openai.OpenAI) -> None:
    seen = []
    for event in create_stream(sdk, background=True, input=COUNTING, max_output_tokens=60):
        seen.append(event)
        if len(seen) == 8:
            break
    response_id = seen[0].response.id
    assert [event.type for event in seen[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    rest = list(sdk.responses.retrieve(response_id, stream=True, starting_after=7))
    assert [event.sequence_number for event in [*seen, *rest]] == list(range(8 + len(rest)))
    again = list(sdk.responses.retrieve(response_id, stream=True))
    assert again == [*seen, *rest]
    assert again[-1].type in ("response.completed", "response.incomplete")
    assert again[-1].response == sdk.responses.retrieve(response_id)
    assert list(sdk.responses.retrieve(response_id, stream=True, starting_after=len(again))) == []
    with sdk.responses.stream(response_id=response_id, starting_after=7) as stream:
        resumed = [event.sequence_number for event in stream]
    assert resumed == [event.sequence_number for event in rest]


def test_stream_of_one_made_without_a_stream_is_read(sdk: openai.OpenAI) -> None:
    response = create(sdk)
    events = list(sdk.responses.retrieve(response.id, stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response == response


def test_cancelled_stream_ends_and_says_so(sdk: openai.OpenAI) -> None:
    last = None
    for event in create_stream(sdk, background=True, input=COUNTING, max_output_tokens=4000):
        if event.type == "response.in_progress":
            sdk.responses.cancel(event.response.id)
        last = event
    assert last is not None
    assert (last.type, last.response.status) == ("response.incomplete", "cancelled")


def test_responses_go_on_from_one_another(sdk: openai.OpenAI) -> None:
    first = create(sdk, input="My name is Zoe. Remember it.")
    second = create(sdk, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    with pytest.raises(openai.BadRequestError) as missing:
        create(sdk, previous_response_id="resp_nowhere")
    assert (missing.value.code, missing.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_input_items_are_listed_across_pages(sdk: openai.OpenAI) -> None:
    texts = [f"number {number}" for number in range(5)]
    response = create(sdk, input=[{"role": "user", "content": text} for text in texts], max_output_tokens=4)
    listed: Any = sdk.responses.input_items.list
    for order, expected in (("asc", texts), ("desc", texts[::-1])):
        pages = listed(response.id, limit=2, order=order, include=["message.output_text.logprobs"])
        assert [item.content[0].text for item in pages] == expected


def test_deleted_response_is_gone(sdk: openai.OpenAI) -> None:
    response = create(sdk, max_output_tokens=4)
    sdk.responses.delete(response.id)
    for gone in (sdk.responses.retrieve, sdk.responses.delete, sdk.responses.cancel):
        with pytest.raises(openai.NotFoundError) as missing:
            gone(response.id)
        assert missing.value.code == "response_not_found"


def test_one_that_is_not_stored_is_not_to_be_read(sdk: openai.OpenAI) -> None:
    response = create(sdk, store=False, max_output_tokens=4)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(response.id)


def test_anothers_response_is_not_there(sdk: openai.OpenAI, other_client: httpx.Client) -> None:
    response = create(sdk, max_output_tokens=4, background=True)
    for method, path in (
        ("GET", ""),
        ("GET", "?stream=true"),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/input_items"),
    ):
        answer = other_client.request(method, f"/v1/responses/{response.id}{path}")
        missing = other_client.request(method, f"/v1/responses/resp_{'0' * 32}{path}")
        assert answer.status_code == missing.status_code == 404
        assert answer.json()["error"]["code"] == missing.json()["error"]["code"]

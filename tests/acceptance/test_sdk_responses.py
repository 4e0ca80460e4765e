"""`/v1/responses` as users of the OpenAI SDK see it, with the real model behind it."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel

from tests.acceptance.conftest import LiveServer

MODEL = "smollm2"
FRANCE = "What is the capital of France?"
# Greedy counting goes on for as long as it is let.
COUNTING = "Count from one to a thousand, a line for each number: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class City(BaseModel):
    """What a response is parsed into."""

    name: str
    inhabitants: int


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=live_server.key, max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def make_async(live_server: LiveServer) -> Any:
    """Makes an asynchronous client, inside the loop that uses it."""
    return lambda: openai.AsyncOpenAI(
        base_url=f"{live_server.url}/v1", api_key=live_server.key, max_retries=0
    )


def create(client: openai.OpenAI, **body: Any) -> Response:
    made: Response = client.responses.create(
        **{"model": MODEL, "input": FRANCE, "temperature": 0, "max_output_tokens": 24, **body}
    )
    return made


def until_ended(client: openai.OpenAI, response_id: str) -> Response:
    for _ in range(600):
        response = client.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response
        time.sleep(0.05)
    raise AssertionError(f"never ended: {response.status}")


def test_response_is_answered_and_read_again(client: openai.OpenAI) -> None:
    response = create(client, metadata={"a": "b"}, instructions="Answer in one sentence.", user="u")
    assert response.id.startswith("resp_")
    assert response.status == "completed"
    assert "Paris" in response.output_text
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (response.metadata, response.instructions) == ({"a": "b"}, "Answer in one sentence.")
    assert client.responses.retrieve(response.id) == response


def test_response_that_reaches_its_limit_is_incomplete(client: openai.OpenAI) -> None:
    response = create(client, input=COUNTING, max_output_tokens=5)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 5


def test_messages_and_parts_are_understood(client: openai.OpenAI) -> None:
    conversation: Any = [
        {"role": "developer", "content": "You answer briefly."},
        {"role": "user", "content": [{"type": "input_text", "text": "My name is Zoe."}]},
        {"role": "assistant", "content": "Hello Zoe."},
        {"role": "user", "content": FRANCE},
    ]
    assert "Paris" in create(client, input=conversation).output_text


def test_stream_ends_with_the_response_it_made(client: openai.OpenAI) -> None:
    events = list(create_stream(client))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 3
    last = events[-1]
    assert last.type == "response.completed"
    assert "".join(deltas) == last.response.output_text
    assert client.responses.retrieve(last.response.id) == last.response


def create_stream(client: openai.OpenAI, **body: Any) -> Any:
    return client.responses.create(
        **{
            "model": MODEL,
            "input": FRANCE,
            "temperature": 0,
            "max_output_tokens": 24,
            "stream": True,
            **body,
        }
    )


def test_streaming_helper_puts_the_response_together(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input=FRANCE, temperature=0, max_output_tokens=24) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text
    assert "Paris" in final.output_text


def test_output_is_parsed_into_a_pydantic_model(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": "Describe Paris.", "text_format": City}
    parsed = client.responses.parse(**asked, temperature=0, max_output_tokens=200)
    assert isinstance(parsed.output_parsed, City)
    with client.responses.stream(**asked, temperature=0, max_output_tokens=200) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == parsed.output_parsed


def test_json_object_is_json(client: openai.OpenAI) -> None:
    asked = create(
        client,
        input="Write a small JSON object.",
        text={"format": {"type": "json_object"}},
        max_output_tokens=200,
        tools=[],
    )
    if asked.status == "completed":
        assert isinstance(json.loads(asked.output_text), dict)
    else:
        assert asked.output_text.startswith("{")


def test_function_is_called_and_its_output_answered(client: openai.OpenAI) -> None:
    first = create(
        client,
        input="What is the weather in Paris?",
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
        max_output_tokens=100,
    )
    (call,) = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.name == "weather"
    assert isinstance(json.loads(call.arguments)["city"], str)
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 °C"}]
    chained = create(client, input=output, tools=[WEATHER], previous_response_id=first.id, tool_choice="none")
    assert chained.status in ("completed", "incomplete")
    assert chained.output_text
    question: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
    by_hand = create(client, input=[*question, *first.output, *output], tools=[WEATHER], tool_choice="none")
    assert by_hand.output_text == chained.output_text


def test_call_is_streamed_as_it_is_written(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model=MODEL,
        input="What is the weather in Paris?",
        tools=[WEATHER],  # type: ignore[list-item]
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        max_output_tokens=100,
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    (call,) = final.output
    assert call.type == "function_call"
    assert "".join(deltas) == call.arguments
    assert set(json.loads(call.arguments)) == {"city"}


def test_logprobs_are_those_of_the_text(client: openai.OpenAI) -> None:
    response = create(client, include=["message.output_text.logprobs"], top_logprobs=2)
    (message,) = response.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert "".join(one.token for one in part.logprobs) == part.text
    assert all(len(one.top_logprobs) == 2 for one in part.logprobs)
    assert response.top_logprobs == 2


def test_one_in_the_background_is_answered_at_once_and_read_later(client: openai.OpenAI) -> None:
    queued = create(client, background=True)
    assert (queued.status, queued.output, queued.background) == ("queued", [], True)
    ended = until_ended(client, queued.id)
    assert ended.status == "completed"
    assert "Paris" in ended.output_text
    assert client.responses.cancel(queued.id) == ended


def test_one_in_the_background_is_cancelled(client: openai.OpenAI) -> None:
    queued = create(client, input=COUNTING, background=True, max_output_tokens=4000)
    client.responses.cancel(queued.id)
    client.responses.cancel(queued.id)
    ended = until_ended(client, queued.id)
    assert ended.status == "cancelled"
    assert ended.usage is not None
    assert ended.usage.output_tokens < 4000
    assert client.responses.cancel(queued.id) == ended


def test_one_in_the_foreground_is_not_to_be_cancelled(client: openai.OpenAI) -> None:
    response = create(client)
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(response.id)


def test_stream_in_the_background_is_resumed_where_it_was_left(client: openai.OpenAI) -> None:
    seen = []
    for event in create_stream(client, background=True, input=COUNTING, max_output_tokens=60):
        seen.append(event)
        if len(seen) == 8:
            break
    response_id = seen[0].response.id
    assert [event.type for event in seen[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=7))
    assert [event.sequence_number for event in [*seen, *rest]] == list(range(8 + len(rest)))
    again = list(client.responses.retrieve(response_id, stream=True))
    assert again == [*seen, *rest]
    assert again[-1].type in ("response.completed", "response.incomplete")
    assert again[-1].response == client.responses.retrieve(response_id)
    assert list(client.responses.retrieve(response_id, stream=True, starting_after=len(again))) == []
    with client.responses.stream(response_id=response_id, starting_after=7) as stream:
        resumed = [event.sequence_number for event in stream]
    assert resumed == [event.sequence_number for event in rest]


def test_stream_of_one_made_without_a_stream_is_read(client: openai.OpenAI) -> None:
    response = create(client)
    events = list(client.responses.retrieve(response.id, stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response == response


def test_cancelled_stream_ends_and_says_so(client: openai.OpenAI) -> None:
    last = None
    for event in create_stream(client, background=True, input=COUNTING, max_output_tokens=4000):
        if event.type == "response.in_progress":
            client.responses.cancel(event.response.id)
        last = event
    assert last is not None
    assert (last.type, last.response.status) == ("response.incomplete", "cancelled")


def test_responses_go_on_from_one_another(client: openai.OpenAI) -> None:
    first = create(client, input="My name is Zoe. Remember it.")
    second = create(client, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    with pytest.raises(openai.BadRequestError) as missing:
        create(client, previous_response_id="resp_nowhere")
    assert (missing.value.code, missing.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_input_items_are_listed_across_pages(client: openai.OpenAI) -> None:
    texts = [f"number {number}" for number in range(5)]
    response = create(
        client, input=[{"role": "user", "content": text} for text in texts], max_output_tokens=4
    )
    for order, expected in (("asc", texts), ("desc", texts[::-1])):
        pages = client.responses.input_items.list(
            response.id,
            limit=2,
            order=order,
            include=["message.output_text.logprobs"],  # type: ignore[arg-type]
        )
        assert [item.content[0].text for item in pages] == expected  # type: ignore[union-attr]


def test_deleted_response_is_gone(client: openai.OpenAI) -> None:
    response = create(client, max_output_tokens=4)
    client.responses.delete(response.id)
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as missing:
            gone(response.id)
        assert missing.value.code == "response_not_found"


def test_one_that_is_not_stored_is_not_to_be_read(client: openai.OpenAI) -> None:
    response = create(client, store=False, max_output_tokens=4)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_anothers_response_is_not_there(client: openai.OpenAI, other_client: httpx.Client) -> None:
    response = create(client, max_output_tokens=4, background=True)
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


def test_truncation_leaves_out_what_does_not_fit_or_refuses(client: openai.OpenAI) -> None:
    long: Any = [
        {"role": "user", "content": "word " * 6000},
        {"role": "assistant", "content": "yes " * 3000},
        {"role": "user", "content": FRANCE},
    ]
    with pytest.raises(openai.BadRequestError) as refused:
        create(client, input=long)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")
    response = create(client, input=long, truncation="auto", max_output_tokens=8)
    assert response.truncation == "auto"
    assert response.usage is not None
    assert response.usage.input_tokens < 8192 - 8


def test_input_tokens_are_those_that_are_used(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input=FRANCE, instructions="Be brief.")
    response = create(client, instructions="Be brief.", max_output_tokens=1)
    assert counted.object == "response.input_tokens"
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"max_tool_calls": 2}, "max_tool_calls", "unsupported_parameter"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"extra_body": {"surprise": 1}}, "surprise", "unknown_parameter"),
        ({"background": True, "store": False}, "background", "invalid_value"),
    ],
)
def test_what_is_not_honoured_is_a_400_that_names_it(
    client: openai.OpenAI, body: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        create(client, **body)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_unknown_model_is_a_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        create(client, model="gpt-9")
    assert missing.value.code == "model_not_found"


def test_asynchronous_client_does_the_same(make_async: Any) -> None:
    async def talk() -> None:
        async with make_async() as client:
            asked: dict[str, Any] = {
                "model": MODEL,
                "input": FRANCE,
                "temperature": 0,
                "max_output_tokens": 24,
            }
            first, second = await asyncio.gather(
                client.responses.create(**asked), client.responses.create(**asked, background=True)
            )
            assert "Paris" in first.output_text
            async with client.responses.stream(**asked) as stream:
                async for _ in stream:
                    continue
                final = await stream.get_final_response()
            assert final.output_text == first.output_text
            parsed = await client.responses.parse(
                model=MODEL, input="Describe Paris.", text_format=City, temperature=0, max_output_tokens=200
            )
            assert isinstance(parsed.output_parsed, City)
            events = await client.responses.retrieve(second.id, stream=True)
            numbers = [event.sequence_number async for event in events]
            assert numbers == list(range(len(numbers)))
            items = [item async for item in client.responses.input_items.list(first.id)]
            assert len(items) == 1
            await client.responses.delete(first.id)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(first.id)

    asyncio.run(talk())

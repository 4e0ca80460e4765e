"""`/v1/responses` as users of the OpenAI SDK see it, with the real model behind it."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer
from tests.acceptance.sdk_responses import COUNTING, FRANCE, MODEL, create, create_stream

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


def test_response_is_answered_and_read_again(sdk: openai.OpenAI) -> None:
    response = create(sdk, metadata={"a": "b"}, instructions="Answer in one sentence.", user="u")
    assert response.id.startswith("resp_")
    assert response.status == "completed"
    assert "Paris" in response.output_text
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (response.metadata, response.instructions) == ({"a": "b"}, "Answer in one sentence.")
    assert sdk.responses.retrieve(response.id) == response


def test_response_that_reaches_its_limit_is_incomplete(sdk: openai.OpenAI) -> None:
    response = create(sdk, input=COUNTING, max_output_tokens=5)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 5


def test_messages_and_parts_are_understood(sdk: openai.OpenAI) -> None:
    conversation: Any = [
        {"role": "developer", "content": "You answer briefly."},
        {"role": "user", "content": [{"type": "input_text", "text": "My name is Zoe."}]},
        {"role": "assistant", "content": "Hello Zoe."},
        {"role": "user", "content": FRANCE},
    ]
    assert "Paris" in create(sdk, input=conversation).output_text


def test_stream_ends_with_the_response_it_made(sdk: openai.OpenAI) -> None:
    events = list(create_stream(sdk))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) > 3
    last = events[-1]
    assert last.type == "response.completed"
    assert "".join(deltas) == last.response.output_text
    assert sdk.responses.retrieve(last.response.id) == last.response


def test_streaming_helper_puts_the_response_together(sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(model=MODEL, input=FRANCE, temperature=0, max_output_tokens=24) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text
    assert "Paris" in final.output_text


def test_output_is_parsed_into_a_pydantic_model(sdk: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": "Describe Paris.", "text_format": City}
    parsed = sdk.responses.parse(**asked, temperature=0, max_output_tokens=200)
    assert isinstance(parsed.output_parsed, City)
    with sdk.responses.stream(**asked, temperature=0, max_output_tokens=200) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == parsed.output_parsed


def test_json_object_is_json(sdk: openai.OpenAI) -> None:
    asked = create(
        sdk,
        input="Write a small JSON object.",
        text={"format": {"type": "json_object"}},
        max_output_tokens=200,
        tools=[],
    )
    if asked.status == "completed":
        assert isinstance(json.loads(asked.output_text), dict)
    else:
        assert asked.output_text.startswith("{")


def test_function_is_called_and_its_output_answered(sdk: openai.OpenAI) -> None:
    first = create(
        sdk,
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
    chained = create(sdk, input=output, tools=[WEATHER], previous_response_id=first.id, tool_choice="none")
    assert chained.status in ("completed", "incomplete")
    assert chained.output_text
    question: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
    by_hand = create(sdk, input=[*question, *first.output, *output], tools=[WEATHER], tool_choice="none")
    assert by_hand.output_text == chained.output_text


def test_call_is_streamed_as_it_is_written(sdk: openai.OpenAI) -> None:
    client: Any = sdk
    asked = {"model": MODEL, "input": "What is the weather in Paris?", "temperature": 0}
    tools = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}
    with client.responses.stream(**asked, **tools, max_output_tokens=100) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    (call,) = final.output
    assert call.type == "function_call"
    assert "".join(deltas) == call.arguments
    assert set(json.loads(call.arguments)) == {"city"}


def test_logprobs_are_those_of_the_text(sdk: openai.OpenAI) -> None:
    response = create(sdk, include=["message.output_text.logprobs"], top_logprobs=2)
    (message,) = response.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert part.logprobs is not None
    assert "".join(one.token for one in part.logprobs) == part.text
    assert all(len(one.top_logprobs) == 2 for one in part.logprobs)
    assert response.top_logprobs == 2


def test_truncation_leaves_out_what_does_not_fit_or_refuses(sdk: openai.OpenAI) -> None:
    long: Any = [
        {"role": "user", "content": "word " * 9000},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": FRANCE},
    ]
    with pytest.raises(openai.BadRequestError) as refused:
        create(sdk, input=long)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")
    response = create(sdk, input=long, truncation="auto", max_output_tokens=8)
    assert response.truncation == "auto"
    assert response.usage is not None
    assert response.usage.input_tokens < 100
    assert "Paris" in response.output_text


def test_input_tokens_are_those_that_are_used(sdk: openai.OpenAI) -> None:
    counted = sdk.responses.input_tokens.count(model=MODEL, input=FRANCE, instructions="Be brief.")
    response = create(sdk, instructions="Be brief.", max_output_tokens=1)
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
    sdk: openai.OpenAI, body: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        create(sdk, **body)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_unknown_model_is_a_404(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        create(sdk, model="gpt-9")
    assert missing.value.code == "model_not_found"


def test_asynchronous_client_does_the_same(live_server: LiveServer) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        asked: dict[str, Any] = {"model": MODEL, "input": FRANCE, "temperature": 0, "max_output_tokens": 24}
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

    run_async(live_server, talk)

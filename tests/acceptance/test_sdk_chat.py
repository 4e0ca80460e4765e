"""Chats through OpenAI's own client, as its users write them."""

import asyncio
import json
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, NotFoundError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer

MODEL = "smollm2"
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    size: Literal["small", "big"]
    rivers: bool


def ask(sdk: OpenAI, **changes: Any) -> ChatCompletion:
    values: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 20}
    answer: ChatCompletion = sdk.chat.completions.create(**values | changes)
    return answer


def test_question_is_answered_with_its_usage(sdk: OpenAI) -> None:
    answer = ask(sdk)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == (ANSWER, "stop")
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "smollm2-135m-instruct"
    assert answer.service_tier == "default"
    assert answer.system_fingerprint
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_asynchronous_client_is_answered_alike(live_server: LiveServer) -> None:
    async def use(client: AsyncOpenAI) -> list[str]:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=20)
                for _ in range(4)
            )
        )
        return [answer.choices[0].message.content or "" for answer in answers]

    # How many run together may decide between two tokens that are nearly as likely.
    assert all(text.startswith(ANSWER[:-1]) for text in run_async(live_server, use))


def test_stream_joined_is_the_answer(sdk: OpenAI) -> None:
    with sdk.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == ANSWER
    assert len([text for text in texts if text]) > 3
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(texts) - 1


def test_asynchronous_stream_joined_is_the_answer(live_server: LiveServer) -> None:
    async def use(client: AsyncOpenAI) -> str:
        stream = await client.chat.completions.create(
            model=MODEL, messages=QUESTION, temperature=0, max_tokens=20, stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert run_async(live_server, use) == ANSWER


def test_stream_helper_tells_what_happens_and_the_answer(sdk: OpenAI, live_server: LiveServer) -> None:
    with sdk.chat.completions.stream(model=MODEL, messages=QUESTION, temperature=0, max_tokens=20) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == ANSWER

    async def use(client: AsyncOpenAI) -> str | None:
        async with client.chat.completions.stream(
            model=MODEL, messages=QUESTION, temperature=0, max_tokens=20
        ) as stream:
            return (await stream.get_final_completion()).choices[0].message.content

    assert run_async(live_server, use) == ANSWER


def test_several_answers_with_a_seed_are_repeatable(sdk: OpenAI) -> None:
    tries = [ask(sdk, n=3, seed=7, temperature=1.0, max_tokens=6) for _ in range(2)]
    texts = [[choice.message.content for choice in answer.choices] for answer in tries]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 1
    assert [choice.index for choice in tries[0].choices] == [0, 1, 2]
    assert tries[0].usage is not None
    assert tries[0].usage.completion_tokens <= 18


def test_tokens_come_with_their_log_probabilities(sdk: OpenAI) -> None:
    [choice] = ask(sdk, logprobs=True, top_logprobs=3).choices
    assert choice.logprobs is not None
    entries = choice.logprobs.content or []
    assert "".join(entry.token for entry in entries) == ANSWER
    assert all(len(entry.top_logprobs) == 3 for entry in entries)
    # Greedy: each token is the likeliest in its place.
    assert all(entry.token == entry.top_logprobs[0].token for entry in entries)
    with sdk.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        max_tokens=20,
        logprobs=True,
        top_logprobs=3,
        stream=True,
    ) as stream:
        choices = [chunk.choices[0] for chunk in stream]
    streamed = [entry for one in choices if one.logprobs for entry in one.logprobs.content or ()]
    assert [entry.token for entry in streamed] == [entry.token for entry in entries]


def test_stop_strings_biases_and_lengths_are_honoured(sdk: OpenAI) -> None:
    assert ask(sdk, stop=[" France"]).choices[0].message.content == "The capital of"
    short = ask(sdk, max_tokens=2).choices[0]
    assert (short.message.content, short.finish_reason) == ("The capital", "length")
    banned = ask(sdk, extra_body={"bad_words": ["Paris"]}).choices[0].message.content or ""
    assert "Paris" not in banned
    chosen = ask(sdk, extra_body={"response_format": {"type": "choice", "choice": ["Rome", "Oslo"]}})
    assert chosen.choices[0].message.content in {"Rome", "Oslo"}


def test_pydantic_models_are_parsed(sdk: OpenAI, live_server: LiveServer) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Describe Paris as JSON."}]
    parsed = sdk.chat.completions.parse(
        model=MODEL, messages=messages, response_format=City, temperature=0, max_tokens=80
    )
    assert isinstance(parsed.choices[0].message.parsed, City)

    async def use(client: AsyncOpenAI) -> City | None:
        answer = await client.chat.completions.parse(
            model=MODEL, messages=messages, response_format=City, seed=1, max_tokens=80
        )
        return answer.choices[0].message.parsed

    assert isinstance(run_async(live_server, use), City)


def test_json_mode_answers_with_an_object(sdk: OpenAI) -> None:
    [choice] = ask(sdk, response_format={"type": "json_object"}, max_tokens=200).choices
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content or ""), dict)


def test_tool_call_goes_round(sdk: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    called = ask(sdk, messages=messages, tools=[WEATHER], tool_choice="required", max_tokens=200)
    [choice] = called.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    calls = choice.message.tool_calls or []
    messages.append(choice.message)
    for call in calls:
        assert call.type == "function"
        assert call.function.name == "get_weather"
        assert isinstance(json.loads(call.function.arguments)["city"], str)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."})
    last = ask(sdk, messages=messages, tools=[WEATHER], tool_choice="none")
    assert last.choices[0].message.content


def test_streamed_tool_call_goes_round(sdk: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    with sdk.chat.completions.stream(
        model=MODEL,
        messages=messages,
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        temperature=0,
        max_tokens=100,
    ) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_completion().choices[0].message
    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds
    [call] = message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, dict)
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}]
    assert ask(sdk, messages=messages, tools=[WEATHER], tool_choice="none").choices[0].message.content


def test_model_may_choose_whether_to_call(sdk: OpenAI) -> None:
    [choice] = ask(sdk, tools=[WEATHER], tool_choice="auto", max_tokens=100).choices
    assert choice.message.content or choice.message.tool_calls or choice.finish_reason == "length"


def test_older_functions_are_called_in_the_older_form(sdk: OpenAI) -> None:
    function = {key: value for key, value in WEATHER["function"].items() if key != "strict"}
    [choice] = ask(sdk, functions=[function], function_call={"name": "get_weather"}, max_tokens=100).choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call is not None
    called = choice.message.function_call
    assert "city" in json.loads(called.arguments)
    messages = [*QUESTION, choice.message, {"role": "function", "name": called.name, "content": "Sunny."}]
    assert ask(sdk, messages=messages).choices[0].message.content


def test_service_tier_and_metadata_are_shown(sdk: OpenAI) -> None:
    answer = ask(sdk, service_tier="flex", metadata={"run": "7"}, max_tokens=2)
    assert (answer.service_tier, answer.metadata) == ("flex", {"run": "7"})


def test_stored_chats_are_listed_read_changed_and_deleted(sdk: OpenAI) -> None:
    chats = sdk.chat.completions
    mark = {"suite": "stored"}
    kept = [ask(sdk, store=True, metadata=mark, max_tokens=2) for _ in range(3)]
    ask(sdk, max_tokens=2, metadata=mark)
    assert chats.retrieve(kept[0].id) == kept[0]
    # One a page, so that the client asks for the pages behind it.
    assert [one.id for one in chats.list(limit=1, metadata=mark)] == [one.id for one in kept]
    newest = chats.list(order="desc", metadata=mark, model=MODEL).data[0]
    assert newest.id == kept[-1].id
    assert chats.update(kept[0].id, metadata={"a": "b"}).metadata == {"a": "b"}
    [message] = chats.messages.list(kept[0].id, limit=1)
    assert (message.role, message.content) == ("user", QUESTION[0]["content"])
    assert chats.delete(kept[0].id).deleted
    with pytest.raises(NotFoundError):
        chats.retrieve(kept[0].id)


def test_asynchronous_client_lists_stored_chats(sdk: OpenAI, live_server: LiveServer) -> None:
    kept = ask(sdk, store=True, metadata={"suite": "async"}, max_tokens=2)

    async def use(client: AsyncOpenAI) -> list[str]:
        return [one.id async for one in client.chat.completions.list(metadata={"suite": "async"}, limit=1)]

    assert run_async(live_server, use) == [kept.id]


def test_raw_response_has_the_request_id_and_the_job(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=2)
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.headers["x-tokenmill-job-id"].startswith("job_")
    assert raw.parse().id == raw.headers["x-tokenmill-job-id"].replace("job_", "chatcmpl-")

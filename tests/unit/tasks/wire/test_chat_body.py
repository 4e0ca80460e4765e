"""The answer to a chat, checked against the SDK's own type."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from inference.prompts import PromptRenderer
from tasks.models import JobStatus
from tasks.result import Choice
from tasks.wire.chat_completions import chat_body
from tests.unit.tasks.wire.results import DIGITS, MODEL, choice_of, make_result

REQUEST: dict[str, Any] = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}]}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
TOOLS = {"tools": [{"type": "function", "function": FUNCTION}]}


def shown(choices: list[Choice], request: dict[str, Any] | None = None, **changes: Any) -> ChatCompletion:
    body = chat_body(make_result({**REQUEST, **(request or {})}, choices, **changes))
    return ChatCompletion.model_validate(json.loads(body.model_dump_json()), strict=True)


def test_answer_has_the_jobs_digits_and_says_what_it_cost_and_ran_on(renderer: PromptRenderer) -> None:
    answer = shown([choice_of("Hello.", renderer)], service_tier="flex", metadata={"a": "b"})
    assert answer.id == f"chatcmpl-{DIGITS}"
    assert (answer.model, answer.service_tier, answer.system_fingerprint) == (MODEL, "flex", "fp_1")
    assert answer.metadata == {"a": "b"}
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason, choice.logprobs) == ("Hello.", "stop", None)
    assert choice.message.tool_calls is None
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        5,
        3,
        8,
    )
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_every_choice_is_shown_in_its_place(renderer: PromptRenderer) -> None:
    answer = shown([choice_of(text, renderer) for text in "abc"])
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
    ]


@pytest.mark.parametrize("finish_reason", ["length", None])
def test_what_was_cut_short_has_the_reason_length(
    renderer: PromptRenderer, finish_reason: str | None
) -> None:
    answer = shown(
        [choice_of("Hel", renderer, finish_reason=finish_reason)],
        status=JobStatus.COMPLETED if finish_reason else JobStatus.CANCELLED,
    )
    assert answer.choices[0].finish_reason == "length"


def test_calls_are_shown_with_ids_that_stay_the_same(renderer: PromptRenderer) -> None:
    text = renderer.tool_format.write([("f", '{"a": 1}'), ("f", '{"a": 2}')])
    answers = [shown([choice_of("hi", renderer), choice_of(text, renderer)], TOOLS) for _ in range(2)]
    assert answers[0] == answers[1]
    plain, calling = answers[0].choices
    assert (plain.finish_reason, plain.message.content) == ("stop", "hi")
    assert (calling.finish_reason, calling.message.content) == ("tool_calls", None)
    calls = calling.message.tool_calls or []
    assert [call.id for call in calls] == [f"call_{DIGITS}_1_0", f"call_{DIGITS}_1_1"]
    assert [call.to_dict()["function"] for call in calls] == [
        {"name": "f", "arguments": '{"a": 1}'},
        {"name": "f", "arguments": '{"a": 2}'},
    ]


def test_older_functions_are_answered_in_the_older_form(renderer: PromptRenderer) -> None:
    text = renderer.tool_format.write([("f", '{"a": 1}')])
    [choice] = shown([choice_of(text, renderer)], {"functions": [FUNCTION]}).choices
    assert choice.finish_reason == "function_call"
    assert choice.message.tool_calls is None
    assert choice.message.function_call is not None
    assert (choice.message.function_call.name, choice.message.function_call.arguments) == ("f", '{"a": 1}')


def test_call_that_was_cut_off_is_long_and_no_call_to_make(renderer: PromptRenderer) -> None:
    text = renderer.tool_format.write([("f", '{"a": 1}')])[:-16]
    [choice] = shown([choice_of(text, renderer, finish_reason="length")], TOOLS).choices
    assert choice.finish_reason == "length"


def test_tokens_with_their_scores_joined_are_the_answer(renderer: PromptRenderer) -> None:
    answer = shown([choice_of("Héllo 漢!", renderer, scored=True)], {"logprobs": True, "top_logprobs": 2})
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    entries = logprobs.content or []
    assert bytes(byte for entry in entries for byte in entry.bytes or ()).decode() == "Héllo 漢!"
    assert all(entry.logprob == -0.5 and len(entry.top_logprobs) == 2 for entry in entries)


def test_tokens_of_a_stop_string_are_no_part_of_the_answer(renderer: PromptRenderer) -> None:
    whole = choice_of("one two three", renderer, scored=True)
    cut = Choice(text="one two", token_ids=whole.token_ids, finish_reason="stop", logprobs=whole.logprobs)
    logprobs = shown([cut], {"logprobs": True}).choices[0].logprobs
    assert logprobs is not None
    assert "".join(entry.token for entry in logprobs.content or ()) == "one two"

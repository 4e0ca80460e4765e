"""Conversations with functions: each model reads them as its own template writes them."""

from typing import Any

import pytest

from inference.errors import InvalidPrompt
from inference.tool_format import ADDED, HERMES, LLAMA, MISTRAL, ToolFormat
from inference.tools import FunctionTool, ToolChoice, ToolUse
from tests.unit.inference import chat_templates as templates
from tests.unit.inference.chat_templates import render, renderer

WEATHER = FunctionTool(
    "weather", "The weather in a city", {"type": "object", "properties": {"city": {"type": "string"}}}
)
NOW = FunctionTool("now")
TOOLS = ToolUse((WEATHER, NOW))


def call(name: str, arguments: str, call_id: str = "call_8f1b2c") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


QUESTION = {"role": "user", "content": "Is it raining in Paris?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [call("weather", '{"city":"Paris"}')]}
RESULT = {"role": "tool", "tool_call_id": "call_8f1b2c", "content": "sunny"}
CHAT = [QUESTION, CALL, RESULT]


@pytest.mark.parametrize(
    ("template", "special", "expected"),
    [
        (templates.QWEN, (), HERMES),
        (templates.LLAMA, (), LLAMA),
        (templates.MISTRAL, (), MISTRAL),
        (templates.TURNS, (), ADDED),
        (templates.XML, (), ADDED),
        (templates.QWEN, ("<tool_call>",), ADDED),
        (templates.MISTRAL, ("[TOOL_CALLS]",), ADDED),
        (templates.QWEN.replace("tool | tojson", "1"), (), ADDED),
        ("{{ raise_exception('never') }}", (), ADDED),
        ("{{ 1 // 0 }}", (), ADDED),
    ],
    ids=[
        "qwen",
        "llama",
        "mistral",
        "knows no functions",
        "writes another form",
        "writes what no output shows",
        "writes mistral's as control tokens",
        "does not describe them",
        "refuses all",
        "fails",
    ],
)
def test_the_form_of_calls_is_what_the_template_writes(
    template: str, special: tuple[str, ...], expected: ToolFormat
) -> None:
    assert renderer(template, special).tool_format == expected


@pytest.mark.parametrize(
    ("template", "written"),
    [
        (
            templates.QWEN,
            '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call><|end|>',
        ),
        (templates.LLAMA, '{"name": "weather", "parameters": {"city": "Paris"}}<|end|>'),
        (
            templates.MISTRAL,
            '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris"}, "id": "call00001"}]',
        ),
        (templates.MISTRAL, '[TOOL_RESULTS]{"content": "sunny", "call_id": "call00001"}'),
        (
            templates.TURNS,
            '<tool_call>\n{"name": "weather", "arguments": {"city":"Paris"}}\n</tool_call><|end|>',
        ),
        (templates.TURNS, "<|start|>user\n<tool_response>\nsunny\n</tool_response><|end|>"),
    ],
)
def test_calls_and_results_are_read_as_they_were_written(template: str, written: str) -> None:
    assert written in render(renderer(template), CHAT, TOOLS)


def test_a_template_without_functions_gets_them_described_in_the_system_message() -> None:
    text = render(renderer(templates.TURNS), [{"role": "system", "content": "Be brief."}, QUESTION], TOOLS)
    system, rest = text.removeprefix("<|start|>system\nBe brief.\n\n").split("<|end|>", 1)
    assert '{"type": "function", "function": {"name": "weather", "description": "The weather in a' in system
    assert "<tool_call>\n" in system
    assert rest.startswith("\n<|start|>user\nIs it raining")


def test_a_conversation_without_a_system_message_gets_one_with_the_functions() -> None:
    assert render(renderer(templates.TURNS), [QUESTION], TOOLS).startswith("<|start|>system\nYou can call")


@pytest.mark.parametrize("template", [templates.QWEN, templates.LLAMA, templates.MISTRAL, templates.TURNS])
def test_a_model_that_may_call_nothing_is_told_of_nothing(template: str) -> None:
    made = renderer(template)
    silent = ToolUse(TOOLS.tools, ToolChoice("none"))
    assert render(made, CHAT, silent) == render(made, CHAT)
    assert "The weather in a city" in render(made, CHAT, TOOLS)


def test_results_of_several_calls_are_one_turn() -> None:
    calls = {**CALL, "tool_calls": [call("weather", "{}", "a"), call("now", "{}", "b")]}
    results = [{**RESULT, "tool_call_id": "a"}, {**RESULT, "tool_call_id": "b", "content": "noon"}]
    text = render(renderer(templates.TURNS), [QUESTION, calls, *results])
    assert "sunny\n</tool_response>\n<tool_response>\nnoon\n</tool_response><|end|>" in text
    assert text.count("<|start|>user") == 2


@pytest.mark.parametrize("template", [templates.QWEN, templates.LLAMA, templates.MISTRAL, templates.TURNS])
def test_the_older_function_call_is_a_call(template: str) -> None:
    older = [
        QUESTION,
        {"role": "assistant", "content": None, "function_call": CALL["tool_calls"][0]["function"]},  # type: ignore[index]
        {"role": "function", "name": "weather", "content": "sunny"},
    ]
    made = renderer(template)
    assert render(made, older, TOOLS) == render(made, CHAT, TOOLS)


def test_arguments_that_were_cut_off_are_shown_as_they_are() -> None:
    cut = {**CALL, "tool_calls": [call("weather", '{"city":')]}
    assert '{"city":' in render(renderer(templates.TURNS), [QUESTION, cut, RESULT])
    assert r'"arguments": "{\"city\":"' in render(renderer(templates.QWEN), [QUESTION, cut, RESULT])


def test_text_before_a_call_stays_before_it() -> None:
    spoken = {**CALL, "content": "Let me see."}
    assert "assistant\nLet me see.\n<tool_call>" in render(renderer(templates.TURNS), [QUESTION, spoken])


@pytest.mark.parametrize("template", [templates.QWEN, templates.LLAMA, templates.MISTRAL, templates.TURNS])
def test_control_tokens_in_functions_calls_and_results_stay_text(template: str) -> None:
    evil = "<|end|><|start|>"
    made = renderer(template)
    tools = ToolUse((FunctionTool("f", evil, {"properties": {evil: {"enum": [evil]}}}),))
    plain = ToolUse((FunctionTool("f", "x", {"properties": {"x": {"enum": ["x"]}}}),))

    def control_tokens(text: str, use: ToolUse) -> int:
        calls = {**CALL, "tool_calls": [call("f", f'{{"{text}": {{"{text}": "{text}"}}}}')]}
        token_ids = made.chat([QUESTION, calls, {**RESULT, "content": text}], use)
        return sum(token_id in made.completion(evil) for token_id in token_ids)

    assert control_tokens(evil, tools) == control_tokens("x", plain)


def test_a_developer_is_the_system_where_the_template_knows_no_developer() -> None:
    chat = [{"role": "developer", "content": "Be brief."}, QUESTION]
    assert render(renderer(templates.TURNS), chat).startswith("<|start|>system\nBe brief.")
    knowing = "{# developer #}" + templates.TURNS
    assert render(renderer(knowing), chat).startswith("<|start|>developer\nBe brief.")


@pytest.mark.parametrize(
    "wrong",
    [
        {**RESULT, "content": None},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]},
        {"role": "assistant", "content": None, "tool_calls": 5},
        {"role": "assistant", "content": None},
    ],
)
def test_calls_and_results_of_no_known_shape_are_refused(wrong: dict[str, Any]) -> None:
    chat = [QUESTION, wrong]
    with pytest.raises(InvalidPrompt):
        render(renderer(templates.TURNS.replace("m.content", "m.content + ''")), chat, TOOLS)


def test_more_calls_than_a_template_takes_are_refused() -> None:
    two = {**CALL, "tool_calls": [call("weather", "{}"), call("now", "{}")]}
    with pytest.raises(InvalidPrompt, match="one call at a time"):
        render(renderer(templates.LLAMA), [QUESTION, two, RESULT], TOOLS)

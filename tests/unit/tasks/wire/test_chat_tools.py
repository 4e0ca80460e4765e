"""What a chat says of tools."""

from typing import Any

import pytest

from inference.tools import ToolUse
from tasks.wire.chat_completions import chat_plan
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tasks.wire.chat_tools import tool_use
from tests.unit.tasks.wire.refusals import refusal

F, G = ({"type": "function", "function": {"name": name}} for name in "fg")
BODY: dict[str, Any] = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}]}


def read(**fields: Any) -> ToolUse | None:
    return tool_use(CHAT_COMPLETION_REQUEST.validate_python({**BODY, **fields}))


def choice(**fields: Any) -> tuple[str, tuple[str, ...]]:
    use = read(**fields)
    assert use is not None
    return use.choice.mode, use.choice.names


def test_no_tools_no_use() -> None:
    assert read() is None


@pytest.mark.parametrize(
    ("asked", "mode", "names"),
    [
        (None, "auto", ()),
        ("auto", "auto", ()),
        ("none", "none", ()),
        ("required", "required", ()),
        (G, "required", ("g",)),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [G]}}, "auto", ("g",)),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F, G]}},
            "required",
            ("f", "g"),
        ),
    ],
)
def test_choice_is_honoured(asked: object, mode: str, names: tuple[str, ...]) -> None:
    assert choice(tools=[F, G], tool_choice=asked) == (mode, names)


def test_parallel_calls_can_be_switched_off() -> None:
    for asked, parallel in ((None, True), (True, True), (False, False)):
        use = read(tools=[F], parallel_tool_calls=asked)
        assert use is not None
        assert use.parallel is parallel


def test_older_functions_are_tools_that_are_called_once() -> None:
    functions = [{"name": "f", "description": "d", "parameters": {"type": "object"}}]
    use = read(functions=functions)
    assert use is not None
    [tool] = use.tools
    assert (tool.name, tool.description, tool.parameters) == ("f", "d", {"type": "object"})
    assert not use.parallel
    assert choice(functions=functions, function_call={"name": "f"}) == ("required", ("f",))
    assert choice(functions=functions, function_call="none") == ("none", ())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tools": [F] * 129}, "tools"),
        ({"tools": [F, F]}, "tools[1].function.name"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"x": 1e999}}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "wat"}}}]},
            "tools",
        ),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"function_call": "auto"}, "function_call"),
        ({"tools": [F], "functions": [{"name": "f"}]}, "functions"),
        ({"tools": [F], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": []}}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tools": [F], "tool_choice": G}, "tool_choice.function.name"),
        (
            {
                "tools": [F],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [F, G]}},
            },
            "tool_choice.allowed_tools.tools[1].function.name",
        ),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call.name"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name"),
        ({"functions": [{"name": "f", "parameters": {"type": "wat"}}]}, "functions"),
    ],
)
def test_wrong_tools_are_refused_by_their_place(fields: dict[str, Any], param: str) -> None:
    assert refusal(CHAT_COMPLETION_REQUEST, chat_plan, {**BODY, **fields}).param == param

"""Conversations with functions, written so that a chat template understands them. Torch-free."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inference.tool_format import ToolFormat
from inference.tools import FunctionTool

Message = dict[str, Any]

DESCRIPTION = """You can call functions. They are described one a line between <tools> and </tools>:
<tools>
{tools}
</tools>
To call a function, write its name and its arguments as JSON, in this way:
{example}"""
EXAMPLE = ("name of the function", '{"name of an argument": "value"}')


def modern_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with the older ``function_call``, and the role ``function``, as calls of tools."""
    modern: list[Message] = []
    for number, message in enumerate(messages):
        one = dict(message)
        if call := one.pop("function_call", None):
            one["tool_calls"] = [{"id": f"function {number}", "type": "function", "function": call}]
        if one["role"] == "function":
            one |= {"role": "tool", "tool_call_id": f"function {number - 1}"}
        if one.get("tool_calls"):
            one["content"] = one.get("content") or ""
        modern.append(one)
    return modern


def native_messages(messages: Sequence[Message]) -> list[Message]:
    """For a template that knows calls: their arguments as objects.

    Ids become short and say nothing, since some templates refuse others, and some spend tokens on them.
    """
    short: dict[str, str] = {}

    def shorten(call_id: str) -> str:
        return short.setdefault(call_id, f"call{len(short) + 1:05}")

    native: list[Message] = []
    for message in messages:
        one = dict(message)
        if calls := one.get("tool_calls"):
            one["tool_calls"] = [_with_object(call, shorten(call["id"])) for call in calls]
        if "tool_call_id" in one:
            one["tool_call_id"] = shorten(one["tool_call_id"])
        native.append(one)
    return native


def _with_object(call: Mapping[str, Any], short_id: str) -> Message:
    function = call["function"]
    arguments = _read_arguments(function["arguments"])
    return {
        "id": short_id,
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _read_arguments(arguments: str) -> Any:
    """An object; the text itself where it is none, as of a call that was cut off."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


def plain_messages(
    messages: Sequence[Message], tool_format: ToolFormat, tools: Sequence[FunctionTool]
) -> list[Message]:
    """For a template that knows no calls: calls, results and descriptions as text of the roles it knows."""
    plain: list[Message] = []
    previous = None
    for message in messages:
        if message["role"] != "tool":
            plain.append(_with_calls_as_text(message, tool_format))
        elif previous == "tool":
            plain[-1]["content"] += "\n" + _result_as_text(message)
        else:
            plain.append({"role": "user", "content": _result_as_text(message)})
        previous = message["role"]
    return _with_description(plain, describe(tool_format, tools)) if tools else plain


def describe(tool_format: ToolFormat, tools: Sequence[FunctionTool]) -> str:
    """What a model is told that learns of functions from its instructions alone."""
    lines = [json.dumps(tool.described(), ensure_ascii=False) for tool in tools]
    return DESCRIPTION.format(tools="\n".join(lines), example=tool_format.write([EXAMPLE]))


def _with_calls_as_text(message: Message, tool_format: ToolFormat) -> Message:
    one = dict(message)
    if calls := one.pop("tool_calls", None):
        functions = [call["function"] for call in calls]
        written = tool_format.write([(function["name"], function["arguments"]) for function in functions])
        one["content"] = "\n".join(filter(None, [one["content"], written]))
    return one


def _result_as_text(message: Message) -> str:
    content: str = message["content"]
    return "<tool_response>\n" + content + "\n</tool_response>"


def _with_description(messages: list[Message], description: str) -> list[Message]:
    if messages and messages[0]["role"] in ("system", "developer"):
        first, *others = messages
        return [first | {"content": first["content"] + "\n\n" + description}, *others]
    return [{"role": "system", "content": description}, *messages]

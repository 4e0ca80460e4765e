"""From items to the messages that a chat template knows."""

from collections.abc import Sequence
from typing import Any

from tasks.errors import InvalidRequest
from tasks.wire.response_items import Item

Message = dict[str, Any]


def chat_messages(instructions: str | None, items: Sequence[Item]) -> list[Message]:
    """Messages in the form of chat completions, with text for content."""
    messages: list[Message] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for item in items:
        _ADD[item["type"]](messages, item)
    return messages


def without_orphans(items: Sequence[Item]) -> list[Item]:
    """The items but for outputs whose call has been left out."""
    called = {item["call_id"] for item in items if item["type"] == "function_call"}
    return [item for item in items if item["type"] != "function_call_output" or item["call_id"] in called]


def last_turn(items: Sequence[Item]) -> int:
    """Where that begins which is to be answered: the last item, or the calls that it and others answer."""
    start = len(items) - 1
    while start > 0 and items[start]["type"] == "function_call_output":
        start -= 1
    answered = {item["call_id"] for item in items[start:] if item["type"] == "function_call_output"}
    calls = (index for index, item in enumerate(items) if item["type"] == "function_call")
    return min((index for index in calls if items[index]["call_id"] in answered), default=start)


def check_calls(context: Sequence[Item], given: Sequence[Item]) -> None:
    """Raises InvalidRequest for an output without a call before it."""
    called = {item["call_id"] for item in context if item["type"] == "function_call"}
    for index, item in enumerate(given):
        if item["type"] == "function_call":
            called.add(item["call_id"])
        elif item["type"] == "function_call_output" and item["call_id"] not in called:
            raise InvalidRequest(
                f"There is no function call {item['call_id']!r} ahead of its output.",
                param=f"input[{index}].call_id",
            )


def _add_message(messages: list[Message], item: Item) -> None:
    text = "\n".join(part["text"] for part in item["content"])
    messages.append({"role": item["role"], "content": text})


def _add_call(messages: list[Message], item: Item) -> None:
    """Calls belong to the assistant's turn: to the text ahead of them, and to one another."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    function = {"name": item["name"], "arguments": item["arguments"]}
    call = {"id": item["call_id"], "type": "function", "function": function}
    messages[-1].setdefault("tool_calls", []).append(call)


def _add_output(messages: list[Message], item: Item) -> None:
    messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})


_ADD = {"message": _add_message, "function_call": _add_call, "function_call_output": _add_output}

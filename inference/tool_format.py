"""How models write the calls of functions, and which way is a model's own. Torch-free."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from inference.tools import FunctionTool

PROBE_DESCRIPTION = "probe_description"
PROBE = FunctionTool("probe_name", PROBE_DESCRIPTION, {"type": "object", "properties": {}})
PROBE_ARGUMENTS = {"probe": 1}
PROBE_CALL = {"name": PROBE.name, "arguments": PROBE_ARGUMENTS}
PROBE_ID = "call00001"
PROBE_CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": "question"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": PROBE_ID, "type": "function", "function": PROBE_CALL}],
    },
    {"role": "tool", "tool_call_id": PROBE_ID, "name": PROBE.name, "content": "answer"},
]


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """Calls stand between ``first`` and ``last``, with ``between`` from one to the next: None where there
    is never a second. No text of a model's own may hold ``marker``, or begin with it where calls do
    not go ``after_text``. ``native`` is whether the model's chat template writes calls in this way.
    """

    first: str
    between: str | None
    last: str
    marker: str
    arguments_key: str = "arguments"
    after_text: bool = True
    native: bool = True

    def head(self, name: str) -> str:
        """A call up to where its arguments begin. What follows the arguments is one closing brace."""
        return f'{{"name": {json.dumps(name, ensure_ascii=False)}{self.after_name}'

    @property
    def after_name(self) -> str:
        """What stands between a function's name and its arguments."""
        return f', "{self.arguments_key}": '

    def write(self, calls: list[tuple[str, str]]) -> str:
        """Calls of functions by name, with their arguments as JSON."""
        written = (f"{self.head(name)}{arguments}}}" for name, arguments in calls)
        return f"{self.first}{(self.between or '').join(written)}{self.last}"


HERMES = ToolFormat(
    first="<tool_call>\n",
    between="\n</tool_call>\n<tool_call>\n",
    last="\n</tool_call>",
    marker="<tool_call>",
)
MISTRAL = ToolFormat(first="[TOOL_CALLS][", between=", ", last="]", marker="[TOOL_CALLS]")
LLAMA = ToolFormat(
    first="", between=None, last="", marker='{"name"', arguments_key="parameters", after_text=False
)
ADDED = replace(HERMES, native=False)
"""For models whose template knows nothing of functions, or writes calls in a way unknown here."""

Render = Callable[[list[dict[str, Any]], list[dict[str, Any]]], str]


def find_tool_format(render: Render, is_control: Callable[[str], bool]) -> ToolFormat:
    """The way in which a template writes a call, tried out.

    ``render`` makes text of messages and functions and may raise anything; ``is_control`` tells whether
    control tokens are in a text, which a model's output never shows.
    """
    try:
        text = render(PROBE_CHAT, [PROBE.described()])
    # Templates are programs of strangers: one that fails, in whatever way, can't be used for functions.
    except Exception:
        return ADDED
    if PROBE_DESCRIPTION not in text:
        return ADDED
    return next((known for known in (HERMES, MISTRAL, LLAMA) if _writes(known, text, is_control)), ADDED)


def _writes(known: ToolFormat, text: str, is_control: Callable[[str], bool]) -> bool:
    call = f"{known.first}{known.head(PROBE.name)}{json.dumps(PROBE_ARGUMENTS)}"
    signs = f"{known.first}{known.last}"
    return call in text and known.last in text and not is_control(signs)

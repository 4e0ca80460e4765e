"""What an output must match that may hold calls of functions. Torch-free."""

import json
import re
from typing import Any

from inference.errors import InvalidGeneration
from inference.grammar import check_grammar
from inference.grammar_source import any_of, json_rule, quote, read_choices, read_schema, refuse, regex_rule
from inference.request import Grammar, GrammarKind
from inference.tool_format import ToolFormat
from inference.tools import FunctionTool, ToolUse

MAX_CALLS = 32
"""In one output: models that repeat themselves would go on calling until their tokens are used up."""

# The way templates write JSON themselves. Besides, whitespace of any amount would make a language of its own
# of each schema, and the compiling library then takes the first that fits the first character.
JSON_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

JSON_PARTS = re.compile(r'"(?:\\.|[^"\\])*"|[{:,] ?')


def output_grammar(tool_format: ToolFormat, tools: ToolUse | None, text: Grammar | None) -> Grammar | None:
    """The grammar of outputs that are calls, text or, where the format knows that, text before calls.

    ``text`` is what an output without calls must match: then no text goes before calls. None where
    nothing is left to match. A Lark grammar of a caller may itself allow what reads like a call. Raises
    InvalidGeneration.
    """
    if tools is None or tools.choice.mode == "none":
        return text
    if not tools.callable:
        raise InvalidGeneration("tools: none of them may be called.")
    writer = _GrammarOfCalls(tool_format, tools)
    if tools.choice.mode == "required":
        return writer.calls_alone()
    return writer.calls_or(text) if text else writer.calls_or_free_text()


class _GrammarOfCalls:
    """Writes grammars in the dialect of Lark that ``inference.grammar_source`` speaks of."""

    def __init__(self, tool_format: ToolFormat, tools: ToolUse) -> None:
        self._format = tool_format
        self._functions = tools.callable
        self._single = tools.single
        self._marker = re.escape(tool_format.marker).replace("/", r"\/")

    def calls_alone(self) -> Grammar:
        return self._grammar(f"start: {quote(self._format.first)} calls")

    def calls_or_free_text(self) -> Grammar:
        begun = self._format.first.removeprefix(self._format.marker)
        if not self._format.after_text:
            return self._grammar(
                f"start: TEXT | {quote(self._format.first)} calls",
                rf"TEXT: /(?s:.*)/ & ~/\s*{self._marker}(?s:.*)/",
            )
        return self._grammar(
            f"start: TEXT | opening {quote(begun)} calls",
            f"opening[lazy]: /(?s:.*){self._marker}/",
            f"TEXT: /(?s:.*)/ & {self._without_marker}",
        )

    def calls_or(self, text: Grammar) -> Grammar:
        check_grammar(text)
        start = f"start: text | {quote(self._format.first)} calls"
        match text.kind:
            case GrammarKind.JSON_OBJECT | GrammarKind.JSON_SCHEMA:
                rule = json_rule(read_schema(text.source), JSON_LAYOUT)
                return self._grammar(start, f"text: {rule}", in_parts=not self._format.after_text)
            case GrammarKind.REGEX:
                terminal = f"TEXT: ({regex_rule(text.source)}) & {self._without_marker}"
                return self._grammar(start, "text: TEXT", terminal)
            case GrammarKind.CHOICE:
                return self._grammar(start, f"text: {any_of(self._choices(text.source))}")
            case GrammarKind.LARK:
                return self._grammar(start, f"text: %lark {{\n{text.source}\n}}")

    def _choices(self, source: str) -> list[str]:
        choices = read_choices(source)
        if any(self._format.marker in choice for choice in choices):
            refuse(f"a choice holds {self._format.marker}, with which calls begin.")
        return choices

    @property
    def _without_marker(self) -> str:
        return f"~/(?s:.*){self._marker}(?s:.*)/"

    def _grammar(self, *rules: str, in_parts: bool = False) -> Grammar:
        calls = [self._rule_of_calls()]
        for number, function in enumerate(self._functions):
            head = self._head(function.name, in_parts)
            calls.append(f'call_{number}: {head} arguments_{number} "}}"')
            calls.append(f"arguments_{number}: {json_rule(_schema_of(function), JSON_LAYOUT)}")
        return Grammar(GrammarKind.LARK, "\n".join([*rules, *calls]))

    def _rule_of_calls(self) -> str:
        any_call = " | ".join(f"call_{number}" for number in range(len(self._functions)))
        more = ""
        if not (self._single or self._format.between is None):
            more = f" ({quote(self._format.between)} call){{0,{MAX_CALLS - 1}}}"
        return f"calls: call{more} {quote(self._format.last)}\ncall: {any_call}"

    def _head(self, name: str, in_parts: bool) -> str:
        """A call up to its arguments, in parts where it must be told from other JSON as it goes on."""
        head = self._format.head(name)
        return " ".join(map(quote, JSON_PARTS.findall(head))) if in_parts else quote(head)


def _schema_of(function: FunctionTool) -> dict[str, Any]:
    """The schema of a function's arguments, which are an object in any case."""
    schema = {"type": "object"} | (function.parameters or {})
    if schema["type"] != "object":
        raise InvalidGeneration(f"tool {function.name!r}: the type of its parameters must be object.")
    try:
        check_grammar(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)))
    except InvalidGeneration as error:
        reason = str(error).removeprefix("grammar: ")
        raise InvalidGeneration(f"tool {function.name!r}: {reason}") from error
    return schema

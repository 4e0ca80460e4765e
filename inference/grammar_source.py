"""Grammars of every kind in the one language that the compiling library reads: its dialect of Lark.

The dialect is described at https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md, what
of JSON Schema it covers in ``json_schema.md`` beside it. Torch-free.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from llguidance import LLMatcher

from inference.errors import InvalidGeneration
from inference.request import Grammar, GrammarKind

MAX_SOURCE_BYTES = 64 * 1024

# Text that can go on in one way only must not be looked for ahead: with a{100000} that takes as many
# steps for every token. Last, so that the lines of a caller's own grammar keep their numbers.
OPTIONS = '\n%llguidance {"no_forcing": true}\n'

# Small models get lost in whitespace where any amount is allowed.
JSON_LAYOUT = {"whitespace_pattern": r"[ \t\n\r]{1,64}"}
LAYOUT_KEY = "x-guidance"

LARK_LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|#[^\n]*|/(?:\\.|[^/\\\n])+/')
LARK_REFUSED = re.compile(r"<[^<>\n]*>|%llguidance\b|\b(?:stop|temperature|max_tokens)\s*=")


def refuse(reason: str) -> NoReturn:
    """Raises InvalidGeneration, which names the parameter."""
    raise InvalidGeneration(f"grammar: {reason}")


def to_lark(grammar: Grammar) -> str:
    """The grammar as the library reads it. Raises InvalidGeneration for what is wrong on the surface."""
    if not isinstance(grammar.kind, GrammarKind):
        refuse(f"{grammar.kind!r} is no kind of grammar.")
    if not isinstance(grammar.source, str):
        refuse("the source must be a text.")
    try:
        size = len(grammar.source.encode())
    except UnicodeEncodeError:
        refuse("the source holds half of a surrogate pair, which is no text.")
    if size > MAX_SOURCE_BYTES:
        refuse(f"the source has {size} bytes; {MAX_SOURCE_BYTES} are allowed.")
    return TRANSLATIONS[grammar.kind](grammar.source) + OPTIONS


def json_rule(schema: dict[str, Any], layout: dict[str, Any]) -> str:
    """The right side of a rule: JSON that fits the schema, with the whitespace of a layout."""
    keywords = {key: value for key, value in schema.items() if key != LAYOUT_KEY}
    return f"%json {json.dumps({LAYOUT_KEY: layout, **keywords})}"


def read_schema(source: str) -> dict[str, Any]:
    """The schema that a text spells; "" stands for objects of any shape. Raises InvalidGeneration."""
    schema = _read_json(source, "schema") if source else {"type": "object"}
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        refuse("the schema must be a JSON object that allows something.")
    return schema


def regex_rule(source: str) -> str:
    """The right side of a rule: what a regular expression matches. Raises InvalidGeneration."""
    if not source:
        refuse("the regular expression is empty.")
    quoted: str = json.loads(LLMatcher.grammar_from_regex(source))["grammars"][0]["lark_grammar"]
    return quoted.removeprefix("start: ")


def read_choices(source: str) -> list[str]:
    """The texts to choose from. Raises InvalidGeneration."""
    choices = _read_json(source, "list of choices")
    if not isinstance(choices, list) or not choices:
        refuse("the choices must be a JSON list with at least one text.")
    if not all(isinstance(choice, str) and choice for choice in choices):
        refuse("every choice must be a text that is not empty.")
    return choices


def quote(text: str) -> str:
    """A text as it stands in a rule."""
    return json.dumps(text)


def any_of(texts: Iterable[str]) -> str:
    """The right side of a rule: one of the texts."""
    return " | ".join(map(quote, texts))


def _json_object(source: str) -> str:
    if source:
        refuse("a JSON object of any shape has no source.")
    return f"start: {json_rule(read_schema(source), JSON_LAYOUT)}"


def _json_schema(source: str) -> str:
    if not source:
        refuse("the schema is no JSON: it is empty.")
    return f"start: {json_rule(read_schema(source), JSON_LAYOUT)}"


def _regex(source: str) -> str:
    return f"start: {regex_rule(source)}"


def _choice(source: str) -> str:
    return f"start: {any_of(read_choices(source))}"


def _lark(source: str) -> str:
    found = LARK_REFUSED.search(LARK_LITERAL.sub(" ", source))
    if found:
        refuse(f"{found.group().rstrip('= ')} is not supported in a Lark grammar.")
    return source


def _read_json(source: str, what: str) -> Any:
    try:
        return json.loads(source, parse_constant=_refuse_constant)
    except RecursionError:
        refuse(f"the {what} is nested too deeply.")
    except ValueError as error:
        refuse(f"the {what} is no JSON: {error}.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


TRANSLATIONS: dict[GrammarKind, Callable[[str], str]] = {
    GrammarKind.JSON_OBJECT: _json_object,
    GrammarKind.JSON_SCHEMA: _json_schema,
    GrammarKind.REGEX: _regex,
    GrammarKind.CHOICE: _choice,
    GrammarKind.LARK: _lark,
}

"""Grammars of outputs with calls, over a vocabulary of bytes."""

import json
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from inference.errors import InvalidGeneration
from inference.grammar import GrammarMatcher, check_grammar
from inference.output_grammar import MAX_CALLS, output_grammar
from inference.output_parser import parse_output
from inference.request import Grammar, GrammarKind
from inference.tool_format import ADDED, HERMES, LLAMA, MISTRAL, ToolFormat
from inference.tools import FunctionTool, ToolChoice, ToolUse
from tests.unit.inference.grammars import COMPILER, END, OTHER_END, allowed, push

FORMATS = [HERMES, LLAMA, MISTRAL]
IDS = ["hermes", "llama", "mistral"]
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 5},
        "days": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = (FunctionTool("weather", None, CITY), FunctionTool("weather2"), FunctionTool("now", "", {}))
PARIS = ("weather", '{"city": "Paris"}')
NOW = ("now", "{}")

OBJECT = Grammar(GrammarKind.JSON_SCHEMA, '{"type": "object", "properties": {"b": {"type": "null"}}}')
TEXTS = {
    "object": (Grammar(GrammarKind.JSON_OBJECT), '{"b": [1]}'),
    "schema": (OBJECT, '{"b": null}'),
    "list": (Grammar(GrammarKind.JSON_SCHEMA, '{"type": "array"}'), "[1, []]"),
    "regex": (Grammar(GrammarKind.REGEX, r"(?s:.)*a/b"), "[<{a/b"),
    "choice": (Grammar(GrammarKind.CHOICE, '["<é", "{", "["]'), "<é"),
    "lark": (Grammar(GrammarKind.LARK, 'start: a+\n%ignore " "\na: "}" // {\n'), "} }"),
}


def use(mode: Any = "auto", *names: str, parallel: bool = True) -> ToolUse:
    return ToolUse(TOOLS, ToolChoice(mode, names), parallel)


def matcher(tool_format: ToolFormat, tools: ToolUse, text: Grammar | None = None) -> GrammarMatcher:
    grammar = output_grammar(tool_format, tools, text)
    assert grammar is not None
    check_grammar(grammar)
    return COMPILER.matcher(grammar)


def accepts(made: GrammarMatcher, text: str) -> bool:
    """Whether this is a whole output."""
    for byte in text.encode():
        if byte not in allowed(made):
            return False
        made.advance(byte)
    return END in allowed(made)


def test_without_functions_only_the_text_counts() -> None:
    assert output_grammar(HERMES, None, None) is None
    assert output_grammar(HERMES, None, OBJECT) is OBJECT
    assert output_grammar(HERMES, use("none"), None) is None
    assert output_grammar(HERMES, use("none"), OBJECT) is OBJECT


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_a_required_call_is_the_whole_output(tool_format: ToolFormat) -> None:
    tools = use("required")
    assert accepts(matcher(tool_format, tools), tool_format.write([PARIS]))
    assert not accepts(matcher(tool_format, tools), "")
    assert not accepts(matcher(tool_format, tools), "Paris")
    assert allowed(matcher(tool_format, tools)) == {tool_format.write([PARIS]).encode()[0]}


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize(
    "call",
    [
        ("weather", '{"city": 5}'),
        ("weather", '{"days": 5}'),
        ("weather", '{"city": "Paris", "days": 100}'),
        ("weather", '{"city": "Paris", "more": 1}'),
        ("weather", "null"),
        ("weather2", "[]"),
        ("weather3", "{}"),
    ],
)
def test_a_call_that_does_not_fit_its_schema_is_not_allowed(
    tool_format: ToolFormat, mode: str, call: tuple[str, str]
) -> None:
    assert not accepts(matcher(tool_format, use(mode)), tool_format.write([call]))


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_a_function_without_a_schema_takes_any_object(tool_format: ToolFormat) -> None:
    for arguments in ("{}", '{"a": [1, {"b": null}]}'):
        assert accepts(matcher(tool_format, use("required")), tool_format.write([("weather2", arguments)]))


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize("mode", ["auto", "required"])
def test_several_calls_are_allowed_where_they_may_be_parallel(tool_format: ToolFormat, mode: str) -> None:
    several = tool_format.between is not None
    twice = tool_format.write([PARIS, NOW])
    assert accepts(matcher(tool_format, use(mode)), twice) == several
    assert not accepts(matcher(tool_format, use(mode, parallel=False)), twice)


def test_the_number_of_calls_has_an_end() -> None:
    made = push(matcher(HERMES, use("required")), HERMES.write([NOW] * MAX_CALLS))
    assert made.ended


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_a_named_function_is_called_once(tool_format: ToolFormat) -> None:
    tools = use("required", "weather")
    assert accepts(matcher(tool_format, tools), tool_format.write([PARIS]))
    assert not accepts(matcher(tool_format, tools), tool_format.write([NOW]))
    assert not accepts(matcher(tool_format, tools), tool_format.write([PARIS, PARIS]))


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_only_functions_that_may_be_called_are_called(tool_format: ToolFormat) -> None:
    tools = use("auto", "weather", "now")
    assert accepts(matcher(tool_format, tools), tool_format.write([NOW]))
    assert not accepts(matcher(tool_format, tools), tool_format.write([("weather2", "{}")]))


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize(
    "text", ["", "Paris, <b>{a}</b> [x]", "é\n", "<tool_cal", "[TOOL", '{"nam', '"name"']
)
def test_the_model_may_answer_instead_of_calling(tool_format: ToolFormat, text: str) -> None:
    assert accepts(matcher(tool_format, use()), text)


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_an_answer_holds_no_half_made_call(tool_format: ToolFormat) -> None:
    begun = tool_format.write([PARIS])
    for end in range(len(tool_format.marker), len(begun)):
        assert not accepts(matcher(tool_format, use()), begun[:end])
    assert not accepts(matcher(tool_format, use()), tool_format.marker + " x")


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
def test_text_goes_before_calls_where_the_format_knows_that(tool_format: ToolFormat) -> None:
    text = "Let me see.\n" + tool_format.write([PARIS])
    assert accepts(matcher(tool_format, use()), text)
    read = parse_output(tool_format, use(), text)
    assert bool(read.calls) == tool_format.after_text
    assert not accepts(matcher(tool_format, use("required")), text)


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize(("text", "example"), TEXTS.values(), ids=TEXTS.keys())
def test_a_grammar_of_the_text_leaves_the_choice_to_call(
    tool_format: ToolFormat, text: Grammar, example: str
) -> None:
    assert accepts(matcher(tool_format, use(), text), example)
    assert accepts(matcher(tool_format, use(), text), tool_format.write([PARIS]))
    assert not accepts(matcher(tool_format, use(), text), "Well, no.")
    assert not accepts(matcher(tool_format, use(), text), "Well, no." + tool_format.write([PARIS]))


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize(("text", "example"), TEXTS.values(), ids=TEXTS.keys())
def test_where_a_call_is_required_no_grammar_of_the_text_counts(
    tool_format: ToolFormat, text: Grammar, example: str
) -> None:
    assert not accepts(matcher(tool_format, use("required"), text), example)
    assert accepts(matcher(tool_format, use("required"), text), tool_format.write([PARIS]))


@pytest.mark.parametrize("tool_format", [HERMES, MISTRAL], ids=["hermes", "mistral"])
def test_a_regular_expression_allows_no_half_made_call(tool_format: ToolFormat) -> None:
    made = matcher(tool_format, use(), Grammar(GrammarKind.REGEX, r"(?s).*"))
    assert not accepts(made, tool_format.marker)


def test_signs_of_calls_inside_json_are_text() -> None:
    text = '{"b": "<tool_call> [TOOL_CALLS]["}'
    for tool_format in (HERMES, MISTRAL):
        assert accepts(matcher(tool_format, use(), Grammar(GrammarKind.JSON_OBJECT)), text)
        assert parse_output(tool_format, use(), text).content == text


@pytest.mark.parametrize("tool_format", FORMATS, ids=IDS)
@pytest.mark.parametrize("mode", ["auto", "required"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_chosen_along_the_mask_parses(
    tool_format: ToolFormat, mode: Literal["auto", "required"], seed: int
) -> None:
    tools = ToolUse(TOOLS[:1], ToolChoice(mode))
    made = matcher(tool_format, tools)
    random = Random(seed)
    if mode == "auto":
        push(made, tool_format.marker)
    output = tool_format.marker.encode() if mode == "auto" else b""
    while not made.ended and len(output) < 3_000:
        byte = random.choice(sorted(allowed(made) - {OTHER_END}))
        if byte == END:
            break
        made.advance(byte)
        output += bytes([byte])
    parsed = parse_output(tool_format, tools, output.decode())
    assert parsed.content is None
    for call in parsed.calls:
        assert call.complete
        assert list(Draft202012Validator(CITY).iter_errors(json.loads(call.arguments))) == []


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"properties": {"a": {"not": {}}}}, "Unimplemented keys"),
        ({"type": "text"}, "must be object"),
        ({"type": ["object", "null"]}, "must be object"),
        ({"properties": {"a": {"type": "text"}}}, "Invalid type"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "look-around"),
        ({"properties": {"a": {"const": float("nan")}}}, "NaN"),
        ({"properties": {"a": {"$ref": "http://a/b"}}}, "not present"),
    ],
)
def test_a_schema_that_can_not_be_followed_is_refused_with_the_name_of_its_function(
    parameters: dict[str, Any], reason: str
) -> None:
    tools = ToolUse((*TOOLS, FunctionTool("bad one", None, parameters)))
    with pytest.raises(InvalidGeneration, match=f"^tool 'bad one': .*{reason}"):
        output_grammar(HERMES, tools, None)


def test_schemas_that_refer_to_their_own_parts_are_followed() -> None:
    schema = {
        "$ref": "#/$defs/p",
        "$defs": {"p": {"type": "object", "properties": {"q": {"$ref": "#/$defs/p"}}}},
    }
    tools = ToolUse(
        (FunctionTool("a", None, schema), FunctionTool("b", None, schema)), ToolChoice("required")
    )
    assert accepts(matcher(HERMES, tools), HERMES.write([("b", '{"q": {"q": {}}}')]))


def test_names_that_need_escapes_are_called() -> None:
    name = 'é "x"/\\\n<tool_call>'
    tools = ToolUse((FunctionTool(name),), ToolChoice("required"))
    text = HERMES.write([(name, "{}")])
    assert accepts(matcher(HERMES, tools), text)
    assert parse_output(HERMES, tools, text).calls[0].name == name


def test_a_choice_that_reads_like_a_call_is_refused() -> None:
    with pytest.raises(InvalidGeneration, match="a choice holds <tool_call>"):
        output_grammar(ADDED, use(), Grammar(GrammarKind.CHOICE, '["a <tool_call>"]'))


def test_a_text_that_can_not_be_followed_is_refused() -> None:
    with pytest.raises(InvalidGeneration, match=r"^grammar: .*unclosed group"):
        output_grammar(ADDED, use(), Grammar(GrammarKind.REGEX, "("))


def test_functions_none_of_which_may_be_called_are_refused() -> None:
    for mode in ("auto", "required"):
        with pytest.raises(InvalidGeneration, match=r"^tools: none"):
            output_grammar(ADDED, use(mode, "unknown"), None)

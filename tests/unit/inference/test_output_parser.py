"""Outputs are taken apart into text and calls, however they are cut."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.output_parser import (
    CallArguments,
    CallEnded,
    CallStarted,
    OutputParser,
    OutputPart,
    ParsedCall,
    ParsedOutput,
    TextPart,
    join_parts,
    parse_output,
)
from inference.tool_format import ADDED, HERMES, LLAMA, MISTRAL, ToolFormat
from inference.tools import FunctionTool, ToolChoice, ToolUse

FORMATS = [HERMES, LLAMA, MISTRAL]
TOOLS = ToolUse((FunctionTool("f"), FunctionTool("fg"), FunctionTool('a "b"\n')))
NAMES = [tool.name for tool in TOOLS.tools]
ARGUMENTS = ['{"a": 1}', "{}", '{"a": {"b": "}\\"{\\\\"}}', '[{"x": "<tool_call>"}]', '"}"', "5"]
SNIPPETS = [
    *(
        "<tool_call>",
        "<tool_call>\n",
        "\n</tool_call>",
        "\n",
        "[TOOL_CALLS][",
        "]",
        ", ",
        "<",
        "}",
        "{",
        '"',
        "\\",
    ),
    *('{"name": "f", "arguments": ', '{"name": "f", "parameters": ', '{"name": "fg"', '{"a": 1}', "hello"),
]
FORMAT = st.sampled_from(FORMATS)
MESS = st.lists(st.sampled_from(SNIPPETS), max_size=12).map("".join)


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def parse(tool_format: ToolFormat, texts: Iterable[str], tools: ToolUse | None = TOOLS) -> list[OutputPart]:
    parser = OutputParser(tool_format, tools)
    return [*(part for text in texts for part in parser.push(text)), *parser.finish()]


def merged(parts: Sequence[OutputPart]) -> list[OutputPart]:
    """Neighbours of one kind joined."""
    whole: list[OutputPart] = []
    for part in parts:
        match whole[-1:], part:
            case [TextPart(before)], TextPart(text):
                whole[-1] = TextPart(before + text)
            case [CallArguments(index, before)], CallArguments(_, text):
                whole[-1] = CallArguments(index, before + text)
            case _:
                whole.append(part)
    return whole


@given(FORMAT, MESS, st.lists(st.integers(0, 1_000)))
@example(HERMES, "a\n<tool_call>\nb", [12])
@example(MISTRAL, '[TOOL_CALLS][{"name": "f", "arguments": {}}, {"name": "x', [])
def test_what_comes_out_does_not_hang_on_how_the_text_is_cut(
    tool_format: ToolFormat, text: str, cuts: list[int]
) -> None:
    assert merged(parse(tool_format, pieces(text, cuts))) == merged(parse(tool_format, [text]))
    assert merged(parse(tool_format, text)) == merged(parse(tool_format, [text]))


@given(
    FORMAT, st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ARGUMENTS)), min_size=1, max_size=3)
)
def test_written_calls_are_read_back(tool_format: ToolFormat, calls: list[tuple[str, str]]) -> None:
    calls = calls if tool_format.between else calls[:1]
    parsed = parse_output(tool_format, TOOLS, tool_format.write(calls))
    assert parsed == ParsedOutput(None, tuple(ParsedCall(*call) for call in calls))


@given(FORMAT, MESS)
def test_the_parts_come_in_order(tool_format: ToolFormat, text: str) -> None:
    open_call = None
    for part in parse(tool_format, text):
        match part:
            case CallStarted(index, name):
                assert name in NAMES
                assert index == (0 if open_call is None else open_call + 1)
                open_call = index
            case CallArguments(index, arguments):
                assert arguments
                assert index == open_call
            case CallEnded(index):
                assert index == open_call
            case TextPart(content):
                assert content


@given(FORMAT, st.text())
def test_text_without_a_call_is_kept_to_the_letter(tool_format: ToolFormat, text: str) -> None:
    assert parse_output(tool_format, TOOLS, text) == ParsedOutput(text)


@pytest.mark.parametrize("tools", [None, ToolUse(TOOLS.tools, ToolChoice("none"))])
@given(FORMAT)
def test_where_nothing_may_be_called_all_is_text(tools: ToolUse | None, tool_format: ToolFormat) -> None:
    text = tool_format.write([("f", "{}")])
    assert parse(tool_format, [text], tools) == [TextPart(text)]


@pytest.mark.parametrize("tool_format", FORMATS)
def test_only_what_may_be_called_is_a_call(tool_format: ToolFormat) -> None:
    tools = ToolUse(TOOLS.tools, ToolChoice("auto", ("fg",)))
    text = tool_format.write([("f", "{}")])
    assert parse_output(tool_format, tools, text) == ParsedOutput(text)


def test_text_before_calls_is_content() -> None:
    text = "Let me see.\n" + HERMES.write([("f", "{}")])
    assert parse_output(HERMES, TOOLS, text) == ParsedOutput("Let me see.", (ParsedCall("f", "{}"),))


def test_a_call_after_text_is_text_where_calls_are_the_whole_output() -> None:
    text = "Let me see. " + LLAMA.write([("f", "{}")])
    assert parse_output(LLAMA, TOOLS, text) == ParsedOutput(text)


def test_nothing_is_held_longer_than_needed() -> None:
    parser = OutputParser(ADDED, TOOLS)
    assert parser.push("a < b\n<tool") == [TextPart("a < b")]
    assert parser.push("box>") == [TextPart("\n<toolbox>")]
    assert parser.push('<tool_call>\n{"name": "f", "arguments":') == []
    assert parser.push(" ") == [CallStarted(0, "f")]
    assert parser.push('{"a') == [CallArguments(0, '{"a')]
    assert parser.push('": "}') == [CallArguments(0, '": "}')]
    assert parser.push('"}}\n') == [CallArguments(0, '"}'), CallEnded(0)]
    assert parser.push("</tool_call>\n<tool_call>\n") == []
    assert parser.push('{"name": "fg", "arguments": {') == [CallStarted(1, "fg"), CallArguments(1, "{")]
    assert parser.finish() == []


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("hi <", ParsedOutput("hi <")),
        ("hi <tool_cal", ParsedOutput("hi <tool_cal")),
        ("hi\n<tool_call>", ParsedOutput("hi")),
        ('hi\n<tool_call>\n{"name": "f', ParsedOutput("hi")),
        ('hi\n<tool_call>\n{"name": "f"', ParsedOutput("hi", (ParsedCall("f", "", complete=False),))),
        ('<tool_call>\n{"name": "f", "arg', ParsedOutput(None, (ParsedCall("f", "", complete=False),))),
        (
            '<tool_call>\n{"name": "f", "arguments": {"a": "}',
            ParsedOutput(None, (ParsedCall("f", '{"a": "}', complete=False),)),
        ),
        ('<tool_call>\n{"name": "f", "arguments": {}}', ParsedOutput(None, (ParsedCall("f", "{}"),))),
        (
            '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n<tool_call>\n{"na',
            ParsedOutput(None, (ParsedCall("f", "{}"),)),
        ),
        (
            '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "fg"',
            ParsedOutput(None, (ParsedCall("f", "{}"), ParsedCall("fg", "", complete=False))),
        ),
    ],
)
def test_an_output_cut_off_within_a_call_gives_what_there_was(cut: str, expected: ParsedOutput) -> None:
    assert parse_output(HERMES, TOOLS, cut) == expected


def test_a_call_cut_off_before_its_name_is_nothing_where_calls_are_the_whole_output() -> None:
    assert parse_output(LLAMA, TOOLS, '{"name": "f') == ParsedOutput("")
    assert parse_output(LLAMA, TOOLS, '{"na') == ParsedOutput('{"na')
    assert parse_output(LLAMA, TOOLS, '{"name": "f", "pa') == ParsedOutput(
        None, (ParsedCall("f", "", complete=False),)
    )


def test_an_output_of_nothing_is_empty_text() -> None:
    assert join_parts([]) == ParsedOutput("")

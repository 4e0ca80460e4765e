"""From a model's output, as it comes, to text and calls of functions. Torch-free."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from inference.tool_format import ToolFormat
from inference.tools import ToolUse


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text beside the calls."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call of a function; ``index`` counts the output's calls."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next of a call's arguments, which are JSON."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is complete. One that the end of the output cut off never is."""

    index: int


OutputPart = TextPart | CallStarted | CallArguments | CallEnded


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call of a function. ``arguments`` is JSON, if it is ``complete``."""

    name: str
    arguments: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """An output, taken apart. ``content`` is None where there are calls and no text."""

    content: str | None
    calls: tuple[ParsedCall, ...] = ()


class OutputParser:
    """Takes an output apart as it comes.

    What comes out, joined, depends on the text alone and not on how it is cut. Text that could be the
    beginning of a call is held back until that is clear; arguments are passed on at once.
    """

    def __init__(self, tool_format: ToolFormat, tools: ToolUse | None) -> None:
        callable_names = [tool.name for tool in tools.callable] if tools else []
        self._format = tool_format
        self._openings = {tool_format.first + tool_format.head(name): name for name in callable_names}
        self._following: dict[str, str] = {}
        if tool_format.between is not None:
            self._following = {tool_format.between + tool_format.head(name): name for name in callable_names}
        if tool_format.after_text:
            # A line break between text and a call belongs to neither.
            self._openings |= {f"\n{opening}": name for opening, name in self._openings.items()}
        self._longest = max(map(len, self._openings), default=0)
        first_characters = {re.escape(opening[0]) for opening in self._openings}
        self._first_characters = re.compile("|".join(sorted(first_characters)) or "(?!)")
        self._held = ""
        self._calls = 0
        self._end = OuterEnd()
        self._parts: list[OutputPart] = []
        self._step: Callable[[bool], bool] = self._read_start

    def push(self, text: str) -> list[OutputPart]:
        """Takes the next piece; returns what has become clear."""
        self._held += text
        return self._run(final=False)

    def finish(self) -> list[OutputPart]:
        """The end of the output: what was held back. Of a call cut off before its name is known, nothing."""
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[OutputPart]:
        while self._held and self._step(final):
            pass
        parts, self._parts = self._parts, []
        return parts

    def _read_start(self, final: bool) -> bool:
        """At the start of the output, where calls stand if they do not go after text."""
        if self._format.after_text:
            self._step = self._read_text
        elif not self._start_call(self._openings):
            if not final and _may_become(self._held, self._openings):
                return False
            self._step = self._read_rest
            if final and self._held.startswith(self._format.marker):
                self._give_up(self._openings)
        return True

    def _read_text(self, final: bool) -> bool:
        start = self._find_opening()
        self._give_text(start)
        if self._start_call(self._openings):
            return True
        if final and self._format.marker in self._held:
            self._give_up(self._openings)
        elif final:
            self._give_text(len(self._held))
        return False

    def _read_rest(self, final: bool) -> bool:
        """After where calls may stand: all is text."""
        self._give_text(len(self._held))
        return False

    def _read_arguments(self, final: bool) -> bool:
        end = self._end.find(self._held)
        arguments = self._held[:end]
        if arguments:
            self._parts.append(CallArguments(self._calls - 1, arguments))
        if end is None:
            self._held = ""
            return False
        self._held = self._held[end + 1 :]
        self._parts.append(CallEnded(self._calls - 1))
        self._step = self._read_after_call
        return True

    def _read_after_call(self, final: bool) -> bool:
        if self._start_call(self._following):
            return True
        if _may_become(self._held, (*self._following, self._format.last)):
            if final:
                self._give_up(self._following)
            return False
        self._held = self._held.removeprefix(self._format.last)
        self._step = self._read_text if self._format.after_text else self._read_rest
        return True

    def _find_opening(self) -> int:
        """Where a call begins, or could: all before that is text."""
        for match in self._first_characters.finditer(self._held):
            if self._may_begin(match.start()):
                return match.start()
        return len(self._held)

    def _may_begin(self, start: int) -> bool:
        if any(self._held.startswith(opening, start) for opening in self._openings):
            return True
        return len(self._held) - start < self._longest and _may_become(self._held[start:], self._openings)

    def _start_call(self, beginnings: Mapping[str, str]) -> bool:
        """Whether a call begins here."""
        found = next((beginning for beginning in beginnings if self._held.startswith(beginning)), None)
        if found is None:
            return False
        self._held = self._held[len(found) :]
        self._begin(beginnings[found])
        return True

    def _begin(self, name: str) -> None:
        self._parts.append(CallStarted(self._calls, name))
        self._calls += 1
        self._end = OuterEnd()
        self._step = self._read_arguments

    def _give_text(self, length: int) -> None:
        if length:
            self._parts.append(TextPart(self._held[:length]))
            self._held = self._held[length:]

    def _give_up(self, beginnings: Mapping[str, str]) -> None:
        """The output ends within the beginning of a call: it counts if its name is there."""
        for beginning, name in beginnings.items():
            named = beginning.removesuffix(self._format.after_name)
            if beginning.startswith(self._held) and self._held.startswith(named):
                self._begin(name)
                break
        self._held = ""


class OuterEnd:
    """Looks for the brace that ends what a JSON value, given in pieces, is in."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def find(self, text: str) -> int | None:
        """Where in this piece it is."""
        for index, character in enumerate(text):
            if self._in_string:
                self._read_string(character)
            elif character == '"':
                self._in_string = True
            elif character == "{":
                self._depth += 1
            elif character == "}":
                if not self._depth:
                    return index
                self._depth -= 1
        return None

    def _read_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        else:
            self._escaped = character == "\\"
            self._in_string = character != '"'


def parse_output(tool_format: ToolFormat, tools: ToolUse | None, text: str) -> ParsedOutput:
    """A whole output, taken apart."""
    parser = OutputParser(tool_format, tools)
    return join_parts([*parser.push(text), *parser.finish()])


def join_parts(parts: Iterable[OutputPart]) -> ParsedOutput:
    """What came of an output, put together."""
    content = ""
    calls: list[ParsedCall] = []
    for part in parts:
        match part:
            case TextPart(text):
                content += text
            case CallStarted(_, name):
                calls.append(ParsedCall(name, "", complete=False))
            case CallArguments(index, text):
                calls[index] = replace(calls[index], arguments=calls[index].arguments + text)
            case CallEnded(index):
                calls[index] = replace(calls[index], complete=True)
    return ParsedOutput(None if calls and not content else content, tuple(calls))


def _may_become(held: str, texts: Iterable[str]) -> bool:
    return any(len(held) < len(text) and text.startswith(held) for text in texts)

"""JSON lines: told apart as they come, and checked one by one."""

from collections.abc import Iterable, Iterator

from pydantic_core import from_json

from tasks.errors import InvalidRequest

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineSplitter:
    """Lines out of chunks, with their numbers from 1. Blank lines are counted, and left out."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._pieces: list[bytes] = []
        self._held = 0
        self._number = 0

    def push(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that end in this chunk. Raises InvalidRequest for one that is too long."""
        first, *others = chunk.split(b"\n")
        self._hold(first)
        for following in others:
            yield from self.end()
            self._hold(following)

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The line that is open."""
        line = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._number += 1
        if line and not line.isspace():
            yield self._number, line

    def _hold(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._longest:
            raise line_fault(self._number + 1, f"is longer than {self._longest} bytes", "line_too_long")


class JsonLinesCheck:
    """Whether a file that is on its way holds JSON objects, one a line."""

    def __init__(self, longest: int, most: int) -> None:
        self._splitter = LineSplitter(longest)
        self._most = most
        self._lines = 0

    def push(self, chunk: bytes) -> None:
        """Raises InvalidRequest with the number of the line at fault."""
        for number, line in self._splitter.push(chunk):
            self._check(number, line)

    def end(self) -> None:
        """Raises InvalidRequest also where there was no line at all."""
        for number, line in self._splitter.end():
            self._check(number, line)
        if self._lines == 0:
            raise InvalidRequest("The file is empty.", code="empty_file")

    def _check(self, number: int, line: bytes) -> None:
        self._lines += 1
        if self._lines > self._most:
            raise InvalidRequest(f"The file has more than {self._most} lines.", code="too_many_lines")
        if not isinstance(parse_line(number, line), dict):
            raise line_fault(number, "is not a JSON object", "invalid_json")


def numbered_lines(chunks: Iterable[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a whole file, as the check of its upload saw them."""
    splitter = LineSplitter(longest)
    for chunk in chunks:
        yield from splitter.push(chunk)
    yield from splitter.end()


def parse_line(number: int, line: bytes) -> object:
    """A line's value. Raises InvalidRequest with the line's number."""
    try:
        return from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise line_fault(number, *_reason(number, line, error)) from None


def line_fault(number: int, fault: str, code: str) -> InvalidRequest:
    """The refusal of a file for one line of it; which parameter brought the file is for others to say."""
    return InvalidRequest(f"Line {number} of the file {fault}.", code=code)


def _reason(number: int, line: bytes, error: ValueError) -> tuple[str, str]:
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        return f"is not UTF-8 (byte {undecodable.start + 1} of the line)", "invalid_utf8"
    if number == 1 and line.startswith(_BYTE_ORDER_MARK):
        return "begins with a byte order mark; save the file as UTF-8 without one", "invalid_utf8"
    # The parser sees one line only, so its own line number says nothing.
    return f"is not valid JSON: {str(error).replace(' at line 1 column ', ' at column ')}", "invalid_json"

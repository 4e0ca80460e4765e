from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InvalidRequest
from tasks.json_lines import JsonLinesCheck, numbered_lines


def check(*chunks: bytes, longest: int = 1000, most: int = 10) -> None:
    checked = JsonLinesCheck(longest, most)
    for chunk in chunks:
        checked.push(chunk)
    checked.end()


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(0, 400)))
def test_lines_are_the_same_however_they_are_cut_into_chunks(lines: list[bytes], cuts: list[int]) -> None:
    content = b"\n".join(lines)
    places = [0, *sorted(cuts), len(content)]
    chunks = [content[start:end] for start, end in pairwise(places)]
    expected = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    assert list(numbered_lines(chunks, longest=10_000)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}',
        b'{"a": 1}\n',
        b'{"a": 1}\r\n{"b": []}\r\n',
        b'\n \n{"a": "\xc3\xa9"}\n\n',
        b'{"a": "\\u00e9"}',
    ],
)
def test_objects_one_a_line_are_taken(content: bytes) -> None:
    check(content)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty_file", "empty"),
        (b"\n\r\n  \n", "empty_file", "empty"),
        (b'{"a": 1}\n{"b": \n', "invalid_json", "Line 2 .* at column 6"),
        (b'{"a": 1}\n\n[1]\n', "invalid_json", "Line 3 .* not a JSON object"),
        (b'{"a": NaN}', "invalid_json", "Line 1 "),
        (b'{"a": 1} {"b": 1}', "invalid_json", "Line 1 .*trailing"),
        (b'{"a": "\\ud800"}', "invalid_json", "Line 1 "),
        (b'{"a":' * 5000, "line_too_long", "Line 1 "),
        (b'{"a":' * 190, "invalid_json", "Line 1 "),
        (b'{"a": 1}\n{"b": "\xff"}', "invalid_utf8", r"Line 2 .*not UTF-8 \(byte 8 of the line\)"),
        ("{}".encode("utf-16"), "invalid_utf8", "Line 1 .*not UTF-8"),
        (b"\xef\xbb\xbf{}", "invalid_utf8", "byte order mark"),
        (b'{"a": 1}\n{"b": "' + b"x" * 1000, "line_too_long", "Line 2 .*1000 bytes"),
        (b"{}\n" * 11, "too_many_lines", "more than 10 lines"),
        (b"%PDF-1.7\n", "invalid_json", "Line 1 "),
    ],
)
def test_anything_else_is_refused_with_its_line(content: bytes, code: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        check(content)
    assert refused.value.code == code


def test_a_fault_is_found_before_the_rest_has_come() -> None:
    checked = JsonLinesCheck(longest=1000, most=10)
    with pytest.raises(InvalidRequest, match="Line 1 "):
        checked.push(b"no\n")


def test_a_line_that_never_ends_is_refused_before_it_is_held() -> None:
    checked = JsonLinesCheck(longest=1000, most=10)
    checked.push(b"x" * 1000)
    with pytest.raises(InvalidRequest, match=r"Line 1 .*longer"):
        checked.push(b"x")


def test_a_fault_says_nothing_of_the_content() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(b'{"a": "SECRET" SECRET}')
    assert "SECRET" not in refused.value.message

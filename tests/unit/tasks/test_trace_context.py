import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracing.context import TraceContext, columns, current, enter, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_context_is_read_and_written_as_the_standard_says() -> None:
    context = parse(GOOD, "vendor=one,other=two")
    assert context == TraceContext(TRACE, SPAN, True, "vendor=one,other=two")
    assert context.traceparent == GOOD


def test_only_the_flag_that_is_known_is_taken() -> None:
    known = parse(f"00-{TRACE}-{SPAN}-03")
    assert known is not None
    assert known.traceparent == GOOD
    unknown = parse(f"00-{TRACE}-{SPAN}-02")
    assert unknown is not None
    assert not unknown.sampled


def test_version_to_come_may_say_more() -> None:
    assert parse(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings") == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "hello",
        GOOD[:-1],
        f"{GOOD}-more",
        f"{GOOD},{GOOD}",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}\n-{SPAN}-01",
        GOOD.replace("-", "_"),
    ],
)
def test_what_is_no_context_is_none(malformed: str) -> None:
    assert parse(malformed) is None


def test_request_without_a_context_has_none() -> None:
    assert parse(None) is None
    assert parse(None, "vendor=one") is None


@pytest.mark.parametrize("unfit", ["x=" + "y" * 511, "x=é", "x=a\x01b", ""])
def test_unfit_tracestate_is_left_out_and_the_rest_counts(unfit: str) -> None:
    assert parse(GOOD, unfit) == TraceContext(TRACE, SPAN, True)


@given(st.text(alphabet="0123456789abcdef-", max_size=70) | st.text(max_size=70))
def test_no_header_whatever_is_an_error(header: str) -> None:
    context = parse(header)
    assert context is None or parse(context.traceparent) == context


def test_row_gives_back_what_it_was_given() -> None:
    context = parse(GOOD, "vendor=one")
    kept = columns(context)
    assert parse(kept["traceparent"], kept["tracestate"]) == context
    assert columns(None) == {"traceparent": None, "tracestate": None}


def test_thread_is_in_no_trace_until_it_enters_one() -> None:
    assert current() is None
    context = parse(GOOD)
    enter(context)
    assert current() is context
    enter(None)

"""Personal data goes out of lines, and nothing else does."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ids import new_file_id, new_id
from tasks.key_secret import new_secret
from tasks.redaction import redact, redact_event

DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def luhn(digits: str) -> str:
    """The digits with the one behind them that makes them a card's."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def iban(country: str, account: str) -> str:
    number = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{account}"


def grouped(text: str, separator: str) -> str:
    return separator.join(text[start : start + 4] for start in range(0, len(text), 4))


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=count, max_size=count)


emails = st.builds(
    "{}@{}.{}".format,
    st.text(LETTERS + DIGITS + "._+-", min_size=1, max_size=20).filter(lambda name: name[0].isalnum()),
    st.text(LETTERS + DIGITS, min_size=1, max_size=12),
    st.sampled_from(["com", "example.org", "co.uk", "museum", "xn--p1ai"]),
)
cards = st.builds(
    lambda start, rest, separator: grouped(luhn((start + rest)[:15]), separator),
    st.sampled_from(["4", "51", "2221", "6011"]),
    digits(14),
    st.sampled_from(["", " ", "-"]),
)
amex = st.builds(lambda rest: luhn("37" + rest), digits(12))
ibans = st.builds(
    lambda made, separator: grouped(made, separator),
    st.one_of(
        digits(18).map(lambda account: iban("DE", account)),
        digits(14).map(lambda account: iban("GB", f"WEST{account}")),
        digits(11).map(lambda account: iban("NO", account)),
    ),
    st.sampled_from(["", " "]),
)
phones = st.one_of(
    st.builds("+{} {} {}".format, st.sampled_from(["49", "1", "380"]), digits(3), digits(7)),
    st.builds("+{}{}".format, st.sampled_from(["49", "44", "33"]), digits(9)),
    st.builds("0049-{}-{}".format, digits(3), digits(6)),
    st.builds("({}) {}-{}".format, st.sampled_from(["212", "555"]), digits(3), digits(4)),
    st.builds("{}-{}-{}".format, st.sampled_from(["212", "555"]), digits(3), digits(4)),
    st.builds("017{} {}".format, digits(1), digits(7)),
    st.builds("030/{}".format, digits(8)),
    st.builds("01 {} {} {} {}".format, digits(2), digits(2), digits(2), digits(2)),
)
secrets = st.one_of(
    st.builds(lambda: new_secret("tm-").text),
    st.builds(lambda: new_secret("tm-admin-").text),
    st.text(LETTERS + DIGITS, min_size=20, max_size=40).map("sk-{}".format),
    st.text(LETTERS + DIGITS + "+/", min_size=32, max_size=32).map("whsec_{}=".format),
    st.text(LETTERS + DIGITS, min_size=12, max_size=40).map("Bearer x1{}".format),
)
around = st.sampled_from(
    [
        "{}",
        "duplicate key ({})",
        'value "{}" too long',
        "for {}.",
        "email={}, again",
        "Fehler:\n{}\nEnde",
        "<{}>",
    ]
)


@given(emails | cards | amex | ibans | phones | secrets, around)
def test_planted_data_is_gone_wherever_it_stands(planted: str, sentence: str) -> None:
    cleaned = redact(sentence.format(planted))
    assert planted not in cleaned
    assert cleaned.count("[") == 1
    before, after = sentence.split("{}")
    assert cleaned.startswith(before)
    assert cleaned.endswith(after)


@given(
    st.lists(st.tuples(emails | cards | ibans | phones, st.sampled_from([", ", "; ", " and "])), max_size=4)
)
def test_none_of_several_stays(planted: list[tuple[str, str]]) -> None:
    cleaned = redact("".join(part for pair in planted for part in pair))
    assert not [data for data, _ in planted if data in cleaned]


moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]))
harmless = st.one_of(
    st.sampled_from(["job", "req", "proj", "key", "batch", "slice", "resp"]).map(new_id),
    st.builds(new_file_id),
    st.uuids().map(str),
    st.binary(max_size=8).map(lambda content: hashlib.sha256(content).hexdigest()),
    st.binary(max_size=8).map(lambda content: hashlib.sha1(content).hexdigest().upper()),  # noqa: S324
    moments.map(datetime.isoformat),
    moments.map(str),
    st.integers(1_600_000_000, 1_999_999_999).map(str),
    st.integers(1_600_000_000_000_000_000, 1_999_999_999_999_999_999).map(str),
    st.floats(0, 2_000_000_000).map(str),
    st.ip_addresses(v=4).map(str),
    st.builds("00-{}-{}-01".format, st.uuids().map(lambda value: value.hex), st.just("00f067aa0ba902b7")),
    st.integers(0, 10_000_000).map(str),
    st.decimals(0, 100, places=12).map(str),
)


@given(st.lists(harmless, min_size=1, max_size=3))
def test_identifiers_times_and_hashes_stay(values: list[str]) -> None:
    text = "job " + " is ".join(values) + " at last"
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("4111 1111 1111 1111 123", "[card] 123"),
        ("4111 1111 1111 1111 12/27", "[card] 12/27"),
        # One digit off.
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("DE89 3704 0044 0532 0130 00 OK", "[iban] OK"),
        ("DE89370400440532013000 GB82WEST12345698765432", "[iban] [iban]"),
        ("GB83 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"),
        ("amqp://guest:s3cret@rabbit.example:5672//", "amqp://[secret]@rabbit.example:5672//"),
        ("Authorization: Bearer abc.def-123456", "Authorization: [secret]"),
        (
            "The header must read `Authorization: Bearer KEY`.",
            "The header must read `Authorization: Bearer KEY`.",
        ),
        ("GET /v1/files?owner=jo%40example.com", "GET /v1/files?owner=[email]"),
        ("müller@exämple.de", "[email]"),
        ('File "/usr/lib/python3.11/queue.py", line 171', 'File "/usr/lib/python3.11/queue.py", line 171'),
        ("smollm2-135m-instruct-a1b2c3@worker", "smollm2-135m-instruct-a1b2c3@worker"),
        ("task-runner and disk-usage-report", "task-runner and disk-usage-report"),
        ("", ""),
    ],
)
def test_text_becomes(text: str, cleaned: str) -> None:
    assert redact(text) == cleaned


def test_every_part_of_a_line_is_looked_through() -> None:
    class Customer:
        def __repr__(self) -> str:
            return "Customer(jo@example.com)"

    line: dict[str, Any] = {
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "event": "no room for jo@example.com",
        "rows": [1, "+49 171 1234567", {"card": "4111111111111111"}],
        "customer": Customer(),
        "cost": Decimal("0.5"),
        "attempt": 2,
        "error": None,
    }
    assert redact_event(None, "info", line) == {
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "event": "no room for [email]",
        "rows": [1, "[phone]", {"card": "[card]"}],
        "customer": "Customer([email])",
        "cost": "Decimal('0.5')",
        "attempt": 2,
        "error": None,
    }

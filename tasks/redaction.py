"""Personal data and secrets that come into a log line by accident, such as in an error's words.

E-mail addresses, telephone numbers, payment cards, IBANs and keys are replaced by what they are, in
brackets. What only looks like one stays: cards and IBANs must pass their checksums, and numbers inside
identifiers, times and addresses of networks are none.
"""

import re
from collections.abc import Callable
from typing import Any

from structlog.typing import EventDict, WrappedLogger

# Written by ourselves, in forms that hold nothing of anybody's.
_OUR_FIELDS = frozenset({"action", "level", "timestamp"})

# Nothing below is in a text with neither so many digits nor any of the marks in `_is_suspect`.
_DIGITS = re.compile(r"\d(?:\D{0,5}\d){7}")
_OUR_ID = re.compile(r"(?:[a-z]+[_-])?[0-9a-f]{32}")

_SECRET = re.compile(
    r"(?<![A-Za-z0-9_])(?:tm|sk)-[A-Za-z0-9_-]{8,}"
    r"|whsec_[A-Za-z0-9+/=_-]{8,}"
    r"|(?:[Bb]earer|BEARER) +(?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/=-]{7,}[A-Za-z0-9_~+/=-]"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    # The user and password of a URL.
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
_EMAIL = re.compile(
    r"[\w.!#$'*+^`{|}~-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})"
)
# Identifiers, times, network addresses and fractions, whose digits belong to nobody.
_OURS = (
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?![.\d])"
    r"|\d+\.\d+(?![.\d])"
)
_APART = r"(?<![\w.])"
_CARD = re.compile(rf"{_APART}(?:{_OURS}|(?P<found>[2-6](?:[ -]?\d){{12,18}}(?!\w)))")
_PHONE = re.compile(
    rf"(?<![\w.+])(?:{_OURS}|(?P<found>"
    # International, by its sign or by two zeros.
    r"(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){7,14}"
    # With the zero of a long-distance call: the code and the number, or pairs.
    r"|(?:\(0[1-9]\d{1,4}\)|0[1-9]\d{1,4})(?:[ /-]?\d){6,9}"
    r"|0[1-9](?:[ .]\d\d){4}"
    # North American.
    r"|(?:\([2-9]\d\d\)|[2-9]\d\d)[ .-]{1,2}\d{3}[ .-]\d{4}"
    r"))(?!\w)"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])(?P<found>[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9]))")

# Digits of cards, by how their numbers begin.
_CARD_LENGTHS = (
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|2[2-7]"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("3[0689]"), (14,)),
    (re.compile("35"), (16,)),
    (re.compile("5[0678]|6"), (16, 17, 18, 19)),
)
# Characters of an IBAN, by country (ISO 13616).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def redact(text: str) -> str:
    """The text without any of it."""
    if not _is_suspect(text) or _OUR_ID.fullmatch(text):
        return text
    text = _SECRET.sub("[secret]", text)
    text = _EMAIL.sub("[email]", text)
    text = _replace(text, _IBAN, _end_of_iban, "[iban]")
    text = _replace(text, _CARD, _end_of_card, "[card]")
    return _replace(text, _PHONE, len, "[phone]")


def redact_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A line without any of it, whoever wrote it; the last thing before it is rendered."""
    for name, value in event.items():
        if name not in _OUR_FIELDS:
            event[name] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    return redact(repr(value))


def _is_suspect(text: str) -> bool:
    """A quick look, since nearly every line is as it should be."""
    return bool(
        "@" in text
        or "%40" in text
        or "tm-" in text
        or "sk-" in text
        or "whsec_" in text
        or "earer " in text
        or "EARER " in text
        or "eyJ" in text
        or "://" in text
        or _DIGITS.search(text)
    )


def _replace(text: str, pattern: re.Pattern[str], end_of: Callable[[str], int], name: str) -> str:
    """``end_of`` tells how much of what was found is one; 0 for none."""
    parts, done, at = [], 0, 0
    while match := pattern.search(text, at):
        at = match.end()
        if match["found"] is not None:
            start = match.start("found")
            length = end_of(match["found"])
            # Of what is none, a later part may be one.
            at = start + (length or 1)
            if length:
                parts += [text[done:start], name]
                done = at
    return "".join([*parts, text[done:]])


def _end_of_iban(found: str) -> int:
    length = _IBAN_LENGTHS.get(found[:2])
    end = None if length is None else _end_of(found, length)
    if end is None:
        return 0
    letters = found[:end].replace(" ", "")
    number = "".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])
    return end if int(number) % 97 == 1 else 0


def _end_of_card(found: str) -> int:
    digits = re.sub(r"\D", "", found)
    lengths = next((lengths for start, lengths in _CARD_LENGTHS if start.match(digits)), ())
    for length in reversed(lengths):
        end = _end_of(found, length)
        if end is not None and _passes_luhn(digits[:length]):
            return end
    return 0


def _end_of(found: str, length: int) -> int | None:
    """Where so many letters and digits end; None where they are too few, or go on."""
    count = 0
    for place, letter in enumerate(found):
        if count == length:
            return None if letter.isalnum() else place
        count += letter.isalnum()
    return len(found) if count == length else None


def _passes_luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0

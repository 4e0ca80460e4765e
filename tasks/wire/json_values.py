"""JSON that a client may put into a field as it likes, such as the schema of a function."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator

MOST_LEVELS = 64


def _check(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what Postgres can't store, and what nests too deeply to be written as JSON again."""
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        members = [member for part in level for member in _members(part)]
        if not members:
            return value
        for member in members:
            _check_leaf(member)
        level = members
    raise ValueError(f"must not nest deeper than {MOST_LEVELS} levels")


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _check_leaf(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must not hold a number that no float can hold")
    if not isinstance(value, str):
        return
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain half of a surrogate pair, which is no text") from None


JsonObject = Annotated[dict[str, Any], AfterValidator(_check)]
"""Any JSON object that can be stored."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.wire.json_values import MOST_LEVELS, JsonObject

ADAPTER: TypeAdapter[dict[str, Any]] = TypeAdapter(JsonObject)


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": [inner]}
    return inner


def test_json_is_taken_as_it_is() -> None:
    value: dict[str, Any] = {"a": [1, 2.5, None, True, "漢", {"b": []}], "": {}}
    assert ADAPTER.validate_python(value) == value
    assert ADAPTER.validate_python(nested(MOST_LEVELS // 2 - 1))


@pytest.mark.parametrize(
    "value",
    [{"a": "\x00"}, {"\x00": 1}, {"a": ["\ud800"]}, {"a": 1e999}, nested(MOST_LEVELS), nested(3000)],
    ids=["nul", "nul in a key", "half a pair", "infinity", "deep", "very deep"],
)
def test_what_can_not_be_stored_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(value)

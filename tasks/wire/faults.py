"""Pydantic's findings in the words of the API: every wrong field, by its path."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import InvalidRequest
from tasks.wire.fields import UNSUPPORTED


def invalid_request(error: ValidationError, value: object, *, tagged_by: str | None = None) -> InvalidRequest:
    """The refusal of ``value``; the first fault leads, ``details`` names all of them.

    ``tagged_by`` is the field that tells the kinds of a body apart, where there are several.
    """
    found = error.errors(include_url=False, include_input=False)
    faults = [_fault(one, value, tagged_by) for one in found]
    first = faults[0]
    return InvalidRequest(
        str(first["message"]),
        param=_text_or_none(first["param"]),
        code=_text_or_none(first["code"]),
        details=tuple(faults),
    )


def _fault(error: ErrorDetails, value: object, tagged_by: str | None) -> dict[str, object]:
    kind = error["type"]
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _tag_fault(error, _tag_path(error, value, tagged_by))
    path = field_path(_without_tag(error["loc"], value, tagged_by), value)
    if kind == "missing":
        return _named(path, f"Missing required parameter: '{path}'.", "missing_required_parameter")
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return _named(path, f"Unknown parameter: '{path}'.", "unknown_parameter")
    if kind == UNSUPPORTED:
        return _named(path, f"Unsupported parameter: '{path}' is not supported here.", UNSUPPORTED)
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    if not path:
        return _named(None, f"Invalid request: {_reason(error)}.", code)
    return _named(path, f"Invalid '{path}': {_reason(error)}.", code)


def _tag_fault(error: ErrorDetails, path: str | None) -> dict[str, object]:
    if error["type"] == "union_tag_not_found":
        return _named(path, f"Missing required parameter: '{path}'.", "missing_required_parameter")
    expected = error["ctx"]["expected_tags"]
    return _named(path, f"Invalid '{path}': it must be one of {expected}.", "invalid_value")


def _tag_path(error: ErrorDetails, value: object, tagged_by: str | None) -> str | None:
    """Where the field is that tells the kinds apart: of the body, or of something in it."""
    if not error["loc"]:
        return tagged_by
    place = field_path(_without_tag(error["loc"], value, tagged_by), value)
    return f"{place}.{str(error['ctx']['discriminator']).strip(chr(39))}"


def _named(path: str | None, message: str, code: str) -> dict[str, object]:
    return {"param": path, "message": message, "code": code}


def _reason(error: ErrorDetails) -> str:
    """A validator's own words where it is ours, Pydantic's otherwise."""
    own = error.get("ctx", {}).get("error")
    text = str(own) if own is not None else error["msg"]
    return text[:1].lower() + text[1:]


def _without_tag(loc: tuple[int | str, ...], value: object, tagged_by: str | None) -> tuple[int | str, ...]:
    tagged = tagged_by is not None and isinstance(value, Mapping) and loc[:1] == (value.get(tagged_by),)
    return loc[1:] if tagged else loc


def field_path(loc: tuple[int | str, ...], value: Any) -> str:
    """``messages[2].content`` from a location, by walking the value it speaks of.

    What leads nowhere in the value names a branch of a union, which means nothing to a client;
    only the last part may name a field that is not there.
    """
    path = ""
    for place, part in enumerate(loc):
        last = place == len(loc) - 1
        if isinstance(value, list) and isinstance(part, int):
            path += f"[{part}]"
            value = value[part] if part < len(value) else None
        elif isinstance(value, Mapping) and (part in value or (last and part != "[key]")):
            path += f".{part}" if path else str(part)
            value = value.get(part)
    return path


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)

"""Request bodies: read within the limit, parsed strictly, validated."""

import json
from typing import Any, NoReturn, TypeVar

from flask import request
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from tasks.errors import InvalidRequest
from tasks.settings import settings
from tasks.wire.faults import invalid_request

T = TypeVar("T")

_READ_BYTES = 64 * 1024
_MAX_IDEMPOTENCY_KEY_LENGTH = 255


def read(adapter: TypeAdapter[T], *, tagged_by: str | None = None) -> T:
    """The body as the adapter's type.

    Raises:
        InvalidRequest: it is not JSON, or not what is asked for here.
        RequestEntityTooLarge, UnsupportedMediaType: it was not parsed at all.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("The body must be JSON, with the header `Content-Type: application/json`.")
    body = parse(_read_bytes(settings().max_body_bytes))
    try:
        return adapter.validate_python(body)
    except ValidationError as error:
        raise invalid_request(error, body, tagged_by=tagged_by) from None


def idempotency_key() -> str | None:
    """The `Idempotency-Key` header. Raises InvalidRequest."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= _MAX_IDEMPOTENCY_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"Idempotency-Key must be 1 to {_MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters.",
            param="Idempotency-Key",
        )
    return key


def parse(content: bytes) -> dict[str, Any]:
    """A JSON object, without what JSON leaves undefined. Raises InvalidRequest."""
    try:
        body = json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _not_json(f"it is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _not_json("it is nested too deeply") from None
    except ValueError:
        # Python refuses to convert numbers of thousands of digits.
        raise _not_json("it holds a number with too many digits") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_type")
    return body


def _read_bytes(limit: int) -> bytes:
    """The body, also one sent in chunks without telling its length, never much more than allowed."""
    if (request.content_length or 0) > limit:
        raise RequestEntityTooLarge(f"The body may have at most {limit} bytes.")
    content = bytearray()
    while chunk := request.stream.read(min(_READ_BYTES, limit + 1 - len(content))):
        content += chunk
        if len(content) > limit:
            raise RequestEntityTooLarge(f"The body may have at most {limit} bytes.")
    return bytes(content)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"The body names {twice!r} twice in one object.", param=twice)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _not_json(f"{name} is not a JSON number")


def _not_json(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The body is not valid JSON: {reason}.", code="invalid_json")

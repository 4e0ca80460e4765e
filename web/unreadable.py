"""What a client is told whose request is not HTTP that can be read: an error like every other, not a page."""

import json
from dataclasses import dataclass

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException

from tasks.ids import new_id
from web.errors import INVALID
from web.requests import RequestTooSlow


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    code: str
    message: str


_TOO_LONG = _Answer(414, "URI Too Long", "uri_too_long", "The address with its query is too long.")
_HEADERS = _Answer(
    431, "Request Header Fields Too Large", "headers_too_large", "The headers are too many or too long."
)
_TOO_SLOW = _Answer(408, "Request Timeout", "request_timeout", "The request did not arrive in time.")
# Without the parser's own words: those quote what was sent, which may be a key.
_OTHER = _Answer(400, "Bad Request", "bad_request", "The request is not valid HTTP.")


def answer(error: BaseException) -> bytes | None:
    """The whole answer; None where it is not the client's fault."""
    if not isinstance(error, ParseException | RequestTooSlow):
        return None
    found = _of(error)
    fault = {"message": found.message, "type": INVALID, "param": None, "code": found.code}
    body = json.dumps({"error": fault}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {found.status} {found.reason}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"x-request-id: {new_id('req')}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _of(error: ParseException | RequestTooSlow) -> _Answer:
    if isinstance(error, RequestTooSlow):
        return _TOO_SLOW
    if isinstance(error, LimitRequestLine):
        return _TOO_LONG
    return _HEADERS if isinstance(error, LimitRequestHeaders) else _OTHER

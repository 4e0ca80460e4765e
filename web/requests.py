"""Every request's id, its headers of habit, and its one line in the log."""

import time
from functools import partial

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from tasks.errors import InvalidRequest, TokenmillError
from tasks.ids import new_id

_CLIENT_REQUEST_ID = "X-Client-Request-Id"
_MAX_CLIENT_REQUEST_ID_LENGTH = 512
# Lines about such a request name what it is about.
_NAMED = ("job_id", "batch_id")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = structlog.get_logger(__name__)


class RequestTooSlow(TokenmillError):
    """The request did not arrive in time."""

    code = "request_timeout"


def install(app: Flask) -> None:
    app.before_request(_begin)
    # Hooks run last to first, so this one sees the response as the client will.
    app.after_request(_finish)


def request_id() -> str:
    """The id of the request being served; the client finds it in `x-request-id`."""
    value: str = g.request_id
    return value


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = new_id("req")
    # Threads are reused: nothing of the last request may colour this one's lines.
    clear_contextvars()
    named = request.view_args or {}
    bind_contextvars(request_id=g.request_id, **{name: named[name] for name in _NAMED if name in named})
    client_request_id = _client_request_id()
    if client_request_id is not None:
        bind_contextvars(client_request_id=client_request_id)


def _client_request_id() -> str | None:
    value = request.headers.get(_CLIENT_REQUEST_ID)
    if value is None:
        return None
    if not value.isascii() or not value.isprintable() or len(value) > _MAX_CLIENT_REQUEST_ID_LENGTH:
        raise InvalidRequest(
            f"{_CLIENT_REQUEST_ID} must be at most {_MAX_CLIENT_REQUEST_ID_LENGTH} ASCII characters.",
            param=_CLIENT_REQUEST_ID,
        )
    return value


def _finish(response: Response) -> Response:
    milliseconds = (time.perf_counter() - g.started) * 1000
    response.headers["x-request-id"] = g.request_id
    response.headers["openai-processing-ms"] = str(round(milliseconds))
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    write = partial(
        _log,
        g.started,
        method=request.method,
        # The template, not the path: it is what to group by.
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        project_id=g.principal.project_id if "principal" in g else None,
    )
    if response.is_streamed:
        # When its client has had all of it, or is gone: that is how long it took.
        response.call_on_close(write)
    else:
        write()
    return response


def _log(started: float, **fields: object) -> None:
    duration_ms = round((time.perf_counter() - started) * 1000, 1)
    log.info("request", action="request", duration_ms=duration_ms, **fields)

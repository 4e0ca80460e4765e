"""What web processes count: requests, streams, and who was refused for want of room."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flask import Flask, Response, g, request

from tasks import errors
from tasks.backpressure import QueueFull
from tasks.limit import decisive
from tasks.metrics import instruments
from tasks.metrics.families import web as families
from tasks.metrics.families.everywhere import LIMIT_STORAGE_ERRORS
from tasks.metrics.labels import OTHER, model_label
from tasks.metrics.process import note_process

LIMITS = ("requests", "tokens", "jobs", "budget", "queue_age")
_FULL: dict[type[errors.TokenmillError], str] = {
    errors.InsufficientQuota: "budget",
    errors.TooManyJobs: "jobs",
    errors.TooManyQueuedTokens: "tokens",
    QueueFull: "queue_age",
}
# Clients may call their methods what they like.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def install(app: Flask) -> None:
    """Before everything else, so that a request is counted however it ends."""
    app.before_request(_begin)
    app.after_request(_finish)
    # At 0 from the beginning: that a series appears is no increase.
    instruments.counter(LIMIT_STORAGE_ERRORS)
    for limit in LIMITS:
        instruments.counter(families.LIMIT_REFUSALS).labels(limit)


def count_refusal(error: errors.TokenmillError) -> None:
    """A request was refused; only refusals for want of room count."""
    limit = _limit_of(error)
    if limit is not None:
        instruments.counter(families.LIMIT_REFUSALS).labels(limit).inc()


@contextmanager
def open_stream() -> Iterator[None]:
    """A client follows a job's events inside."""
    streams = instruments.gauge(families.STREAMS_OPEN)
    streams.inc()
    try:
        yield
    finally:
        streams.dec()


def first_token(model: str) -> Callable[[], None]:
    """To be called when this request's client is sent the first token."""
    return partial(_count_first_token, model_label(model), g.counted_from)


def _begin() -> None:
    g.counted_from = time.perf_counter()
    instruments.gauge(families.HTTP_REQUESTS_RUNNING).inc()


def _finish(response: Response) -> Response:
    started = g.pop("counted_from", None)
    if started is not None:
        # The template, not the path: of paths there is no end.
        route = request.url_rule.rule if request.url_rule else OTHER
        method = request.method if request.method in _METHODS else OTHER
        response.call_on_close(partial(_count, route, method, str(response.status_code), started))
    return response


def _count(route: str, method: str, status: str, started: float) -> None:
    """The server has sent the last of it, or given up."""
    instruments.gauge(families.HTTP_REQUESTS_RUNNING).dec()
    instruments.counter(families.HTTP_REQUESTS).labels(route, method, status).inc()
    seconds = time.perf_counter() - started
    instruments.histogram(families.HTTP_REQUEST_SECONDS).labels(route).observe(seconds)
    note_process()


def _count_first_token(model: str, started: float) -> None:
    seconds = time.perf_counter() - started
    instruments.histogram(families.STREAM_FIRST_TOKEN_SECONDS).labels(model).observe(seconds)


def _limit_of(error: errors.TokenmillError) -> str | None:
    if isinstance(error, errors.RateLimitReached):
        standing = decisive(error.standings)
        return "requests" if standing is None else standing.limit.unit
    return next((limit for kind, limit in _FULL.items() if isinstance(error, kind)), None)

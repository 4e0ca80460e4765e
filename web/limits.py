"""How many requests a key may send: counted in Redis where there are several web processes.

A Redis that is away costs nobody a request: each process then counts for itself, and looks for
Redis again after a pause that grows.
"""

import math
import time
from typing import Any

import structlog
from flask import Flask, Response
from flask_limiter import Limiter, RequestLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.settings import settings
from web import auth
from web.durations import duration_text

# What a request may at most lose to a Redis that does not answer, before it is counted in memory.
_REDIS_TIMEOUT_SECONDS = 0.25
# The OpenAI SDK gives up when told to wait longer.
_LONGEST_RETRY_AFTER_SECONDS = 120

log = structlog.get_logger(__name__)


def install(app: Flask) -> None:
    per_minute = settings().requests_per_minute
    if per_minute == 0:
        return
    limiter = Limiter(
        key_func=auth.caller_id,
        application_limits=[f"{per_minute} per minute"],
        application_limits_exempt_when=auth.is_public,
        storage_uri=settings().redis_url or "memory://",
        storage_options=_storage_options(settings().redis_url),
        in_memory_fallback_enabled=True,
        swallow_errors=True,
        key_prefix=settings().queue_prefix,
    )
    limiter.init_app(app)

    @app.after_request
    def _add_headers(response: Response) -> Response:
        if limiter.current_limit is not None:
            describe(limiter.current_limit, response)
        return response


def describe(limit: RequestLimit, response: Response) -> None:
    """Tell the client where it stands."""
    try:
        reset_at, remaining = limit.window
    except Exception as error:
        # Redis went away between counting and reading: the answer is worth more than its headers.
        log.warning("rate limit unreadable", action="rate_limit_unreadable", error=type(error).__name__)
        return
    seconds_left = max(0.0, reset_at - time.time())
    response.headers["x-ratelimit-limit-requests"] = str(limit.limit.amount)
    response.headers["x-ratelimit-remaining-requests"] = str(max(0, remaining))
    response.headers["x-ratelimit-reset-requests"] = duration_text(seconds_left)
    if limit.breached:
        retry_after = min(max(1, math.ceil(seconds_left)), _LONGEST_RETRY_AFTER_SECONDS)
        response.headers["Retry-After"] = str(retry_after)


def _storage_options(redis_url: str | None) -> dict[str, Any]:
    if redis_url is None:
        return {}
    return {
        "socket_connect_timeout": _REDIS_TIMEOUT_SECONDS,
        "socket_timeout": _REDIS_TIMEOUT_SECONDS,
        # The client's own retries would multiply that time.
        "retry": Retry(NoBackoff(), 0),
    }

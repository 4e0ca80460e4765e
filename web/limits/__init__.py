"""How many requests a key may send, by Flask-Limiter; and where all its limits stand, in headers."""

import time

from flask import Flask, Response
from flask_limiter import Limiter, RequestLimit

from tasks.errors import RateLimitReached
from tasks.limit import Limit, Standing
from tasks.settings import settings
from web import auth
from web.limits import standing
from web.limits.storage import SCHEME


def install(app: Flask) -> None:
    limiter = Limiter(
        key_func=auth.caller_id,
        application_limits=[*_request_limits()],
        application_limits_exempt_when=auth.is_public,
        storage_uri=f"{SCHEME}://",
        key_prefix="key",
        on_breach=_refuse,
    )
    limiter.init_app(app)

    @app.after_request
    def add_headers(response: Response) -> Response:
        standing.note(_standing(found) for found in limiter.current_limits if not found.breached)
        return standing.add_headers(response)


def _request_limits() -> list[str]:
    per_minute, per_day = settings().requests_per_minute, settings().key_limits.get("requests_per_day", 0)
    amounts = ((per_minute, "minute"), (per_day, "day"))
    return [f"{amount} per {period}" for amount, period in amounts if amount]


def _refuse(found: RequestLimit) -> None:
    refused = _standing(found, exceeded=True)
    standing.note([refused])
    raise RateLimitReached((refused,))


def _standing(found: RequestLimit, *, exceeded: bool = False) -> Standing:
    """Where one of Flask-Limiter's limits stands."""
    reset_at, remaining = found.window
    amount, seconds = found.limit.amount, found.limit.get_expiry()
    limit = Limit(
        name=f"key:{auth.caller_id()}", whose="this API key", unit="requests", amount=amount, seconds=seconds
    )
    used = amount - max(0, remaining)
    return Standing(limit, used, max(0.0, reset_at - time.time()), asked=1, exceeded=exceeded)

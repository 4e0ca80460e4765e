"""The process's Redis: asked briefly, and left alone for a while when it does not answer."""

from functools import cache

from tasks.circuit import Circuit, circuit_of
from tasks.redis_library import NoBackoff, Redis, Retry
from tasks.settings import settings


@cache
def client() -> Redis:
    """Made on first use, so never before a fork. Only where there is one."""
    return Redis.from_url(
        settings().redis_url or "",
        socket_connect_timeout=settings().redis_timeout_seconds,
        socket_timeout=settings().redis_timeout_seconds,
        # The client's own retries would multiply that time.
        retry=Retry(NoBackoff(), 0),
    )


def circuit() -> Circuit:
    """One for all that Redis is used for."""
    return circuit_of("redis")

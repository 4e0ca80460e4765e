"""Nonces of signed requests: each is good once, in Redis where there are several web processes."""

import threading
from functools import cache
from time import monotonic

import structlog

from tasks import redis_client
from tasks.errors import ReplayGuardUnavailable
from tasks.redis_library import RedisError
from tasks.settings import settings

_SWEEP_EVERY_SECONDS = 10.0

log = structlog.get_logger(__name__)


def use(nonce: str, keep_seconds: int) -> bool:
    """Whether a nonce is used for the first time. Raises ReplayGuardUnavailable.

    A limit may be generous when Redis is away; a guard that lets everything pass is none.
    """
    if settings().redis_url is None:
        return _memory().use(nonce, keep_seconds)
    if not redis_client.circuit().allows():
        raise ReplayGuardUnavailable
    name = f"{settings().queue_prefix}:nonce:{nonce}"
    try:
        is_new = bool(redis_client.client().set(name, b"1", nx=True, ex=keep_seconds))
    except RedisError as error:
        redis_client.circuit().failed()
        log.warning("nonces unknown", action="replay_guard_away", error=type(error).__name__)
        raise ReplayGuardUnavailable from None
    redis_client.circuit().succeeded()
    return is_new


class Nonces:
    """Those that this process has seen."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()

    def use(self, nonce: str, keep_seconds: float) -> bool:
        now = monotonic()
        with self._lock:
            self._sweep(now)
            if self._until.get(nonce, 0.0) > now:
                return False
            self._until[nonce] = now + keep_seconds
            return True

    def _sweep(self, now: float) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_EVERY_SECONDS
            self._until = {nonce: until for nonce, until in self._until.items() if until > now}


@cache
def _memory() -> Nonces:
    return Nonces()

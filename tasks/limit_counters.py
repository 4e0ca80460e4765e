"""The process's counters of limits: in Redis where there is one, and what to do while that is away."""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from time import monotonic
from typing import Literal

import structlog

from tasks.errors import LimitsUnavailable
from tasks.limit import Charge, Count
from tasks.memory_counters import MemoryCounters
from tasks.redis_client import NoBackoff, Redis, RedisError, Retry
from tasks.redis_counters import RedisCounters
from tasks.settings import settings

# What a request may at most lose to a Redis that does not answer, before it is counted in memory.
_REDIS_TIMEOUT_SECONDS = 0.25
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0

log = structlog.get_logger(__name__)


class LimitCounters:
    """Counters that outlive their Redis.

    While it is away each process counts for itself (``open``), or nothing is let through (``closed``).
    One request at a time, after pauses that grow, finds out whether it is back.
    """

    def __init__(
        self, redis: RedisCounters | None, memory: MemoryCounters, when_away: Literal["open", "closed"]
    ) -> None:
        self._redis = redis
        self._memory = memory
        self._when_away = when_away
        self._lock = threading.Lock()
        self._pause_seconds = 0.0
        self._try_at = 0.0
        self.redis_failures = 0
        """How often Redis failed to count since the process began."""

    def take(self, charges: Sequence[Charge], job_id: str | None = None) -> tuple[bool, list[Count]]:
        """Count all charges, or none; as the counters do. Raises LimitsUnavailable."""
        if self._redis is None:
            return self._memory.take(charges, job_id)
        if self._may_try():
            try:
                taken = self._redis.take(charges, job_id)
            except RedisError as error:
                self._failed(error)
            else:
                self._succeeded()
                return taken
        if self._when_away == "closed":
            raise LimitsUnavailable
        return self._memory.take(charges, job_id)

    def settle(self, used_tokens: Mapping[str, int]) -> None:
        """Give back what ended jobs did not use. What Redis can't take now stays counted as taken."""
        if not used_tokens:
            return
        self._memory.settle(used_tokens)
        if self._redis is not None and self._may_try():
            try:
                self._redis.settle(used_tokens)
            except RedisError as error:
                self._failed(error)
            else:
                self._succeeded()

    def _may_try(self) -> bool:
        with self._lock:
            if self._pause_seconds == 0.0:
                return True
            if monotonic() < self._try_at:
                return False
            # The others go on without Redis while this one may be waiting for it.
            self._try_at = monotonic() + self._pause_seconds
            return True

    def _failed(self, error: RedisError) -> None:
        with self._lock:
            self.redis_failures += 1
            longer = max(_FIRST_PAUSE_SECONDS, self._pause_seconds * 2)
            self._pause_seconds = min(longer, _LONGEST_PAUSE_SECONDS)
            self._try_at = monotonic() + self._pause_seconds
        log.warning(
            "limits without Redis",
            action="limits_redis_away",
            error=type(error).__name__,
            failures=self.redis_failures,
            mode=self._when_away,
        )

    def _succeeded(self) -> None:
        if self._pause_seconds == 0.0:
            return
        with self._lock:
            self._pause_seconds = 0.0
        log.info("limits with Redis again", action="limits_redis_back", failures=self.redis_failures)


@cache
def counters() -> LimitCounters:
    """The process's counters; made on first use, so never before a fork."""
    url = settings().redis_url
    redis = None if url is None else RedisCounters(_connect(url), settings().queue_prefix)
    return LimitCounters(redis, MemoryCounters(), settings().limits_when_redis_is_away)


def _connect(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        # The client's own retries would multiply that time.
        retry=Retry(NoBackoff(), 0),
    )

"""The process's counters of limits: in Redis where there is one, and what to do while that is away."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

import structlog

from tasks import redis_client
from tasks.errors import LimitsUnavailable
from tasks.limit import Charge, Count
from tasks.memory_counters import MemoryCounters
from tasks.metrics import instruments
from tasks.metrics.families.everywhere import LIMIT_STORAGE_ERRORS
from tasks.redis_counters import RedisCounters
from tasks.redis_library import RedisError
from tasks.settings import settings

log = structlog.get_logger(__name__)


class LimitCounters:
    """Counters that outlive their Redis.

    While it is away each process counts for itself (``open``), or nothing is let through (``closed``).
    """

    def __init__(
        self, redis: RedisCounters | None, memory: MemoryCounters, when_away: Literal["open", "closed"]
    ) -> None:
        self._redis = redis
        self._memory = memory
        self._when_away = when_away
        self.redis_failures = 0
        """How often Redis failed to count since the process began."""

    def take(self, charges: Sequence[Charge], job_id: str | None = None) -> tuple[bool, list[Count]]:
        """Count all charges, or none; as the counters do. Raises LimitsUnavailable."""
        if self._redis is None:
            return self._memory.take(charges, job_id)
        if redis_client.circuit().allows():
            try:
                taken = self._redis.take(charges, job_id)
            except RedisError as error:
                self._failed(error)
            else:
                redis_client.circuit().succeeded()
                return taken
        if self._when_away == "closed":
            raise LimitsUnavailable
        return self._memory.take(charges, job_id)

    def settle(self, used_tokens: Mapping[str, int]) -> None:
        """Give back what ended jobs did not use. What Redis can't take now stays counted as taken."""
        if not used_tokens:
            return
        self._memory.settle(used_tokens)
        if self._redis is not None and redis_client.circuit().allows():
            try:
                self._redis.settle(used_tokens)
            except RedisError as error:
                self._failed(error)
            else:
                redis_client.circuit().succeeded()

    def _failed(self, error: RedisError) -> None:
        self.redis_failures += 1
        instruments.counter(LIMIT_STORAGE_ERRORS).inc()
        redis_client.circuit().failed()
        log.warning(
            "limits without Redis",
            action="limits_redis_away",
            error=type(error).__name__,
            failures=self.redis_failures,
            mode=self._when_away,
        )


@cache
def counters() -> LimitCounters:
    """The process's counters; made on first use, so never before a fork."""
    shared = None
    if settings().redis_url is not None:
        shared = RedisCounters(redis_client.client(), settings().queue_prefix)
    return LimitCounters(shared, MemoryCounters(), settings().limits_when_redis_is_away)

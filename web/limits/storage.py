"""Where Flask-Limiter counts: among the counters of jobs, with one look at them for each request."""

import time

from flask import g
from limits.storage import Storage

from tasks.job_limits import token_limits_of_key
from tasks.limit import Charge, Count, Limit, standings
from tasks.limit_counters import counters
from web import auth
from web.limits import standing

SCHEME = "tokenmill"


class CounterStorage(Storage):
    """What is told of a counter is kept for the request's headers, which then cost no further look."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 (as the base declares it)

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a request, and look where its sender's tokens stand. Raises LimitsUnavailable."""
        looks = [] if auth.is_admin() else token_limits_of_key(auth.caller_id())
        # Flask-Limiter decides: here it is only counted.
        counter = Limit(name=key, whose=key, unit="requests", amount=0, seconds=expiry)
        charges = [Charge(counter, amount), *(Charge(limit, 0) for limit in looks)]
        _, counts = counters().take(charges)
        _told()[key] = counts[0]
        standing.note(standings(charges[1:], counts[1:]))
        return counts[0].used

    def get(self, key: str) -> int:
        return _told()[key].used

    def get_expiry(self, key: str) -> float:
        return time.time() + _told()[key].seconds_left

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        raise NotImplementedError

    def clear(self, key: str) -> None:
        raise NotImplementedError


def _told() -> dict[str, Count]:
    if "counts" not in g:
        g.counts = {}
    told: dict[str, Count] = g.counts
    return told

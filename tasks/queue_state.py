"""What waits for a model and how fast it goes down: what new work is refused by, at most a second old."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import text

from tasks.db import transaction
from tasks.errors import DatabaseUnavailable

_CACHE_SECONDS = 1.0
_COUNT_LIMIT = 20_000
# A queue younger than this needs no counting.
_YOUNG_SECONDS = 1.0
_RATE_WINDOW_SECONDS = 60.0

# Jobs that are begun anew are older than their time in the queue.
_OLDEST = text("""
    SELECT tier.rank, coalesce(extract(epoch FROM now() - oldest.created_at), 0)::float AS seconds
    FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS tier(rank)
    LEFT JOIN LATERAL (
        SELECT created_at FROM jobs
        WHERE model = :model AND rank = tier.rank AND status = 'queued' AND batch_id IS NULL
          AND attempt = 0 AND expires_at > now()
        ORDER BY id LIMIT 1
    ) AS oldest ON true
    ORDER BY tier.rank
""")
_WAITING = text("""
    SELECT (
        SELECT count(*) FROM (
            SELECT FROM jobs
            WHERE model = :model AND rank = tier.rank AND status = 'queued' AND batch_id IS NULL
            LIMIT :most
        ) AS waiting
    ) AS jobs
    FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS tier(rank)
    ORDER BY tier.rank
""")
_ENDED = text("""
    SELECT count(*) AS jobs, coalesce(extract(epoch FROM now() - min(started_at)), 0)::float AS seconds
    FROM (
        SELECT started_at FROM jobs
        WHERE model = :model AND ended_at > now() - make_interval(secs => :window)
          AND batch_id IS NULL AND started_at IS NOT NULL
        ORDER BY ended_at DESC LIMIT :most
    ) AS ended
""")


@dataclass(frozen=True, slots=True)
class QueueState:
    """Of one model. The tuples are by rank, the best tier first; lines of batches wait elsewhere.

    ``jobs_per_second`` is what was done lately; 0 where nothing was.
    """

    oldest_seconds: tuple[float, ...] = (0.0, 0.0, 0.0)
    waiting_jobs: tuple[int, ...] = (0, 0, 0)
    jobs_per_second: float = 0.0

    def age_seconds(self, rank: int) -> float:
        """How long the oldest job has waited that runs before a new one of this rank."""
        return max(self.oldest_seconds[: rank + 1])

    def drain_seconds(self, rank: int) -> float | None:
        """Until all of those are begun, at the present rate; None where it is not known."""
        if not self.jobs_per_second:
            return None
        return sum(self.waiting_jobs[: rank + 1]) / self.jobs_per_second

    def wait_seconds(self, rank: int) -> float | None:
        """The same, once the queue is old enough for the rate to be that of workers without a pause."""
        if self.age_seconds(rank) < _RATE_WINDOW_SECONDS:
            return None
        return self.drain_seconds(rank)


_EMPTY = QueueState()
_kept: dict[str, tuple[float, QueueState]] = {}
_reading = threading.Lock()


def of(model: str) -> QueueState:
    """While one looks, or the database is away, the others go by what was known last."""
    until, known = _kept.get(model, (0.0, _EMPTY))
    if until > monotonic() or not _reading.acquire(blocking=False):
        return known
    try:
        # Who asks is about to find out by itself that the database is away.
        with suppress(DatabaseUnavailable):
            known = _read(model)
        _kept[model] = (monotonic() + _CACHE_SECONDS, known)
        return known
    finally:
        _reading.release()


def forget() -> None:
    """As if nobody had looked yet."""
    _kept.clear()


def _read(model: str) -> QueueState:
    asked = {"model": model, "most": _COUNT_LIMIT, "window": _RATE_WINDOW_SECONDS}
    with transaction() as connection:
        oldest = tuple(row.seconds for row in connection.execute(_OLDEST, asked))
        if max(oldest) < _YOUNG_SECONDS:
            return QueueState(oldest)
        waiting = tuple(row.jobs for row in connection.execute(_WAITING, asked))
        ended = connection.execute(_ENDED, asked).one()
    busy_seconds = min(max(ended.seconds, 1.0), _RATE_WINDOW_SECONDS)
    return QueueState(oldest, waiting, ended.jobs / busy_seconds)

"""When to ask again: from how fast the queue really drains."""

from datetime import timedelta
from time import monotonic

from sqlalchemy import func, literal, select

from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.models import Job, JobStatus

_MOST_SECONDS = 120
_WINDOW_SECONDS = 60
_COUNT_LIMIT = 10_000
_CACHE_SECONDS = 2.0

_cache: dict[str, tuple[float, int]] = {}


def seconds(model: str) -> int:
    """How long a job queued now waits, by the last minute's rate; 1 to 120 s, at most 2 s old."""
    cached = _cache.get(model)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    try:
        value = estimate(*_queued_and_ended(model))
    except DatabaseUnavailable:
        return 1
    _cache[model] = (monotonic() + _CACHE_SECONDS, value)
    return value


def estimate(queued: int, ended_in_window: int) -> int:
    """Seconds until ``queued`` jobs are through at the rate of the last window; 1 where nothing is known."""
    if queued == 0 or ended_in_window == 0:
        return 1
    return max(1, min(_MOST_SECONDS, round(queued * _WINDOW_SECONDS / ended_in_window)))


def _queued_and_ended(model: str) -> tuple[int, int]:
    one = literal(1)
    # The lines of batches wait behind everybody else.
    queued = (
        select(one)
        .where(Job.model == model, Job.status == JobStatus.QUEUED, Job.batch_id.is_(None))
        .limit(_COUNT_LIMIT)
    )
    since = func.now() - timedelta(seconds=_WINDOW_SECONDS)
    ended = (
        select(one)
        .where(Job.model == model, Job.ended_at > since, Job.batch_id.is_(None))
        .limit(_COUNT_LIMIT)
    )
    counts = (
        select(func.count()).select_from(query.subquery()).scalar_subquery() for query in (queued, ended)
    )
    with transaction() as connection:
        waiting, through = connection.execute(select(*counts)).one()
    return waiting, through

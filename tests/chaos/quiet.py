"""Waiting until a platform that nobody disturbs any more has done all it promised."""

import time
from dataclasses import dataclass

import psycopg2

_LOOK_SECONDS = 0.25
_UNFINISHED = """
    SELECT (SELECT count(*) FROM jobs WHERE ended_at IS NULL),
        (SELECT count(*) FROM batches WHERE status NOT IN ('completed', 'failed', 'expired', 'cancelled')),
        (SELECT count(*) FROM holds), (SELECT count(*) FROM checkpoints)
"""
_STUCK = """
    SELECT id, concat_ws(' ', 'job', status, 'attempt', attempt, 'published', published_at, 'slice', slice_id,
        'owner', owner, 'lost', worker_losses, 'cancel asked', cancel_requested_at)
    FROM jobs WHERE ended_at IS NULL
    UNION ALL
    SELECT id, 'batch ' || status || ', unfinished ' || unfinished || ', ends as ' || coalesce(ends_as, '-')
    FROM batches WHERE status NOT IN ('completed', 'failed', 'expired', 'cancelled')
    UNION ALL
    SELECT job_id, 'hold of ' || amount_usd || ' USD' FROM holds
    UNION ALL
    SELECT job_id, 'checkpoint of attempt ' || attempt FROM checkpoints
    LIMIT 50
"""


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long it took, and what is still not done: ids with what the database says of them."""

    seconds: float
    stuck: list[tuple[str, str]]


def wait_for_quiet(database_url: str, at_most_seconds: float) -> Quiet:
    """Until nothing is unfinished, held or saved for later, or the time is up."""
    began = time.monotonic()
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    try:
        with connection.cursor() as run:
            while True:
                run.execute(_UNFINISHED)
                counts = run.fetchone() or ()
                seconds = time.monotonic() - began
                if not any(counts):
                    return Quiet(seconds, [])
                if seconds > at_most_seconds:
                    run.execute(_STUCK)
                    return Quiet(seconds, [(str(its_id), str(what)) for its_id, what in run.fetchall()])
                time.sleep(_LOOK_SECONDS)
    finally:
        connection.close()

"""What waits to leave the database: jobs for the broker, events for webhooks."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogStatus:
    """``waiting`` counts up to ``MOST_COUNTED``; ``oldest_seconds`` is None where nothing waits."""

    waiting: int
    oldest_seconds: float | None


def read_outbox(connection: Connection) -> BacklogStatus:
    """Jobs that no broker has confirmed, but for those that were admitted a moment ago."""
    return _read(connection, _OUTBOX)


def read_webhooks(connection: Connection) -> BacklogStatus:
    """Deliveries that are due."""
    return _read(connection, _WEBHOOKS)


def _read(connection: Connection, query: str) -> BacklogStatus:
    row = connection.execute(text(_COUNTED.format(query=query)), {"most": MOST_COUNTED}).one()
    return BacklogStatus(waiting=row.waiting, oldest_seconds=row.oldest_seconds)


_COUNTED = """
    SELECT count(*) AS waiting, extract(epoch FROM now() - min(since))::float AS oldest_seconds
    FROM ({query} LIMIT :most) AS waiting
"""
# The relay leaves younger ones to the process that admitted them. One that came back from a worker has waited
# no longer than since that began it.
_OUTBOX = """
    SELECT coalesce(started_at, created_at) AS since FROM jobs
    WHERE status = 'queued' AND published_at IS NULL AND batch_id IS NULL
        AND created_at < now() - interval '2 seconds'
    ORDER BY id
"""
_WEBHOOKS = """
    SELECT next_attempt_at AS since FROM webhook_deliveries
    WHERE status = 'pending' AND next_attempt_at <= now()
"""

"""What waits and what runs, by model and service tier."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from tasks.plan import ServiceTier

MOST_COUNTED = 100_000


@dataclass(slots=True)
class QueueStatus:
    """``queued`` counts up to ``MOST_COUNTED``. Lines of batches are of the tier ``batch``."""

    model: str
    tier: str
    queued: int = 0
    oldest_seconds: float | None = None
    running: int = 0


def read_queues(connection: Connection) -> list[QueueStatus]:
    """Those in which anything waits or runs; by model, the tiers in the order in which they are served."""
    found: dict[tuple[str, str], QueueStatus] = {}

    def queue(model: str, tier: str) -> QueueStatus:
        return found.setdefault((model, tier), QueueStatus(model, tier))

    ranks = {tier.value: tier.rank for tier in ServiceTier}
    asked = {"tiers": list(ranks), "ranks": list(ranks.values()), "most": MOST_COUNTED}
    for row in connection.execute(_QUEUED, asked):
        one = queue(row.model, row.tier)
        one.queued, one.oldest_seconds = row.queued, row.oldest_seconds
    for row in connection.execute(_RUNNING):
        queue(row.model, row.service_tier).running = row.running
    for row in connection.execute(_LINES):
        one = queue(row.model, ServiceTier.BATCH.value)
        one.queued = max(0, row.unfinished - one.running)
        one.oldest_seconds = row.oldest_seconds if one.queued else None
    busy = (one for one in found.values() if one.queued or one.running)
    return sorted(busy, key=lambda one: (one.model, ranks[one.tier]))


# One short look into the index of waiting jobs for each model and tier.
_QUEUED = text("""
    SELECT models.name AS model, tiers.tier, counted.queued,
        extract(epoch FROM now() - oldest.created_at)::float AS oldest_seconds
    FROM models
    CROSS JOIN unnest(CAST(:tiers AS text[]), CAST(:ranks AS smallint[])) AS tiers (tier, rank)
    JOIN LATERAL (
        SELECT created_at FROM jobs
        WHERE status = 'queued' AND batch_id IS NULL AND model = models.name AND rank = tiers.rank
        ORDER BY id LIMIT 1
    ) AS oldest ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS queued
        FROM (
            SELECT FROM jobs
            WHERE status = 'queued' AND batch_id IS NULL AND model = models.name AND rank = tiers.rank
            LIMIT :most
        ) AS waiting
    ) AS counted
""")
_RUNNING = text("""
    SELECT model, service_tier, count(*) AS running FROM jobs
    WHERE status = 'in_progress' GROUP BY model, service_tier
""")
_LINES = text("""
    SELECT model, sum(unfinished)::bigint AS unfinished,
        extract(epoch FROM now() - min(in_progress_at) FILTER (WHERE unfinished > 0))::float AS oldest_seconds
    FROM batches
    WHERE status IN ('in_progress', 'cancelling') AND model IS NOT NULL
    GROUP BY model
""")

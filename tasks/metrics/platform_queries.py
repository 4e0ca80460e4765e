"""How the platform stands, in a few queries that indexes answer, however many jobs there have been."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from tasks.batch import BatchStatus
from tasks.budget_subject import SubjectKind
from tasks.live_workers import dead
from tasks.metrics.families import scheduler as families
from tasks.metrics.family import Family
from tasks.metrics.labels import OTHER, TIERS, model_label, models, tier_label
from tasks.metrics.readings import Reading
from tasks.models import Worker
from tasks.months import THIS_MONTH_SQL
from tasks.plan import ServiceTier
from tasks.settings import settings

Labels = tuple[str, str]

_BATCH = ServiceTier.BATCH.value


def read_platform(connection: Connection) -> Iterator[Reading]:
    """Series are there with a 0 before there is anything to count. Raises DatabaseUnavailable."""
    open_batches = connection.execute(_OPEN_BATCHES).all()
    yield from _jobs(connection, open_batches)
    yield from _batches(open_batches)
    yield from _workers(connection)
    yield from _outbox(connection)
    yield from _webhooks(connection)
    yield from _money(connection)


def _jobs(connection: Connection, open_batches: Sequence[Any]) -> Iterator[Reading]:
    running, queued, oldest = _zeros(), _zeros(), _zeros()
    for row in connection.execute(_RUNNING):
        running[model_label(row.model), tier_label(row.service_tier)] += row.jobs
    for row in connection.execute(_QUEUED):
        labels = model_label(row.model), _tier_of_rank(row.rank)
        queued[labels] += row.jobs
        oldest[labels] = max(oldest[labels], row.seconds)
    for row in open_batches:
        if row.unfinished:
            labels = model_label(row.model), _BATCH
            queued[labels] += row.unfinished
            oldest[labels] = max(oldest[labels], row.seconds)
    for labels in [labels for labels in queued if labels[1] == _BATCH]:
        # Of a batch it is known how many lines have not ended: those that run do not wait.
        queued[labels] = max(0, queued[labels] - running[labels])
        oldest[labels] = oldest[labels] if queued[labels] else 0
    yield from _series(families.QUEUE_JOBS, queued)
    yield from _series(families.QUEUE_OLDEST_SECONDS, oldest)
    yield from _series(families.RUNNING_JOBS, running)


def _batches(open_batches: Sequence[Any]) -> Iterator[Reading]:
    counts: dict[str, float] = {status.value: 0 for status in BatchStatus if not status.ended}
    for row in open_batches:
        counts[row.status] += row.batches
    yield from (Reading(families.BATCHES, count, (status,)) for status, count in counts.items())


def _workers(connection: Connection) -> Iterator[Reading]:
    """Of each model that ought to have some: those that generate, and those that had one within a day."""
    alive: defaultdict[str, float] = defaultdict(float)
    alive.update({spec.name: 0 for spec in settings().generating_models()})
    lately = Worker.last_seen_at > func.now() - timedelta(days=1)
    for row in connection.execute(select(Worker.model, (~dead()).label("alive")).where(lately)):
        alive[model_label(row.model)] += row.alive
    yield from (Reading(families.LIVE_WORKERS, count, (model,)) for model, count in alive.items())


def _outbox(connection: Connection) -> Iterator[Reading]:
    row: Any = connection.execute(_UNPUBLISHED).one()
    yield Reading(families.OUTBOX_JOBS, row.jobs)
    yield Reading(families.OUTBOX_OLDEST_SECONDS, row.seconds)


def _webhooks(connection: Connection) -> Iterator[Reading]:
    row: Any = connection.execute(_DUE).one()
    yield Reading(families.WEBHOOK_DUE_DELIVERIES, row.deliveries)
    yield Reading(families.WEBHOOK_OLDEST_DUE_SECONDS, row.seconds)


def _money(connection: Connection) -> Iterator[Reading]:
    row: Any = connection.execute(_MONEY).one()
    yield Reading(families.HELD_USD, row.held_usd)
    yield Reading(families.SPENT_THIS_MONTH_USD, row.spent_usd)
    used: dict[str, float] = {kind.value: 0 for kind in SubjectKind}
    for limit in connection.execute(_LIMITS):
        used[limit.subject] = max(used[limit.subject], limit.ratio or 0)
    yield from (Reading(families.BUDGET_USED_RATIO, ratio, (kind,)) for kind, ratio in used.items())


def _zeros() -> defaultdict[Labels, float]:
    found: defaultdict[Labels, float] = defaultdict(float)
    found.update({(model, tier): 0 for model in models() for tier in TIERS})
    return found


def _series(family: Family, values: Mapping[Labels, float]) -> Iterator[Reading]:
    return (Reading(family, value, labels) for labels, value in values.items())


def _tier_of_rank(rank: int) -> str:
    return TIERS[rank] if 0 <= rank < len(TIERS) else OTHER


_RUNNING = text("""
    SELECT model, service_tier, count(*) AS jobs FROM jobs WHERE status = 'in_progress' GROUP BY 1, 2
""")
# Ids rise with time.
_QUEUED = text("""
    SELECT counted.model, counted.rank, counted.jobs,
        greatest(extract(epoch FROM now() - oldest.created_at), 0)::float AS seconds
    FROM (
        SELECT model, rank, count(*) AS jobs FROM jobs
        WHERE status = 'queued' AND batch_id IS NULL GROUP BY model, rank
    ) AS counted CROSS JOIN LATERAL (
        SELECT created_at FROM jobs
        WHERE jobs.model = counted.model AND jobs.rank = counted.rank
            AND status = 'queued' AND batch_id IS NULL
        ORDER BY id LIMIT 1
    ) AS oldest
""")
_OPEN_BATCHES = text("""
    SELECT status, model, count(*) AS batches, sum(unfinished)::float AS unfinished,
        coalesce(extract(epoch FROM now() - min(in_progress_at) FILTER (WHERE unfinished > 0)), 0)::float
            AS seconds
    FROM batches WHERE status IN ('validating', 'in_progress', 'cancelling') GROUP BY status, model
""")
# One that came back from a worker has waited since then at most, and no longer than since that began it.
_UNPUBLISHED = text("""
    SELECT count(*) AS jobs,
        coalesce(extract(epoch FROM now() - min(coalesce(started_at, created_at))), 0)::float AS seconds
    FROM jobs WHERE status = 'queued' AND published_at IS NULL AND batch_id IS NULL
""")
_DUE = text("""
    SELECT count(*) AS deliveries,
        coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float AS seconds
    FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at <= now()
""")
_MONEY = text(f"""
    SELECT (SELECT coalesce(sum(held_usd), 0) FROM spend)::float AS held_usd,
        (SELECT coalesce(sum(amount_usd), 0) FROM usage_days
            WHERE start >= {THIS_MONTH_SQL}::timestamp AT TIME ZONE 'UTC')::float AS spent_usd
""")  # noqa: S608 - a constant
_LIMITS = text(f"""
    SELECT subject_kind AS subject, max((held_usd + spent_usd) / hard_usd)::float AS ratio
    FROM budgets JOIN budget_months USING (subject_kind, subject_id)
    WHERE hard_usd > 0 AND month = {THIS_MONTH_SQL} GROUP BY 1
    UNION ALL
    SELECT 'project', max((held_usd + spent_usd) / limit_usd)::float FROM spend WHERE limit_usd > 0
    UNION ALL
    SELECT 'project', max((held_usd + spent_usd) / granted_usd)::float
    FROM spend WHERE prepaid AND granted_usd > 0
""")  # noqa: S608 - a constant

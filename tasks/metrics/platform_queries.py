"""How the platform stands, in a few queries that indexes answer, however many jobs there have been."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta

from sqlalchemy import Connection, func, select, text

from tasks.batch import BatchStatus
from tasks.budget_subject import SubjectKind
from tasks.live_workers import dead
from tasks.metrics.families import scheduler as families
from tasks.metrics.family import Family
from tasks.metrics.labels import TIERS, model_label, models, tier_label
from tasks.metrics.readings import Reading
from tasks.models import Worker
from tasks.settings import settings
from tasks.status.backlogs import read_outbox, read_webhooks
from tasks.status.limits import read_fullest
from tasks.status.queues import read_queues
from tasks.status.spend import read_spend

Labels = tuple[str, str]


def read_platform(connection: Connection) -> Iterator[Reading]:
    """Series are there with a 0 before there is anything to count. Raises DatabaseUnavailable."""
    yield from _jobs(connection)
    yield from _batches(connection)
    yield from _workers(connection)
    yield from _backlogs(connection)
    yield from _money(connection)


def _jobs(connection: Connection) -> Iterator[Reading]:
    running, queued, oldest = _zeros(), _zeros(), _zeros()
    for queue in read_queues(connection):
        # Models that are no longer in the catalog share their labels.
        labels = model_label(queue.model), tier_label(queue.tier)
        running[labels] += queue.running
        queued[labels] += queue.queued
        oldest[labels] = max(oldest[labels], queue.oldest_seconds or 0)
    yield from _series(families.QUEUE_JOBS, queued)
    yield from _series(families.QUEUE_OLDEST_SECONDS, oldest)
    yield from _series(families.RUNNING_JOBS, running)


def _batches(connection: Connection) -> Iterator[Reading]:
    counts: dict[str, float] = {status.value: 0 for status in BatchStatus if not status.ended}
    counts |= {row.status: row.batches for row in connection.execute(_OPEN_BATCHES)}
    yield from (Reading(families.BATCHES, count, (status,)) for status, count in counts.items())


def _workers(connection: Connection) -> Iterator[Reading]:
    """Of each model that ought to have some: those that generate, and those that had one within a day."""
    alive: defaultdict[str, float] = defaultdict(float)
    alive.update({spec.name: 0 for spec in settings().generating_models()})
    lately = Worker.last_seen_at > func.now() - timedelta(days=1)
    for row in connection.execute(select(Worker.model, (~dead()).label("alive")).where(lately)):
        alive[model_label(row.model)] += row.alive
    yield from (Reading(families.LIVE_WORKERS, count, (model,)) for model, count in alive.items())


def _backlogs(connection: Connection) -> Iterator[Reading]:
    outbox, webhooks = read_outbox(connection), read_webhooks(connection)
    yield Reading(families.OUTBOX_JOBS, outbox.waiting)
    yield Reading(families.OUTBOX_OLDEST_SECONDS, outbox.oldest_seconds or 0)
    yield Reading(families.WEBHOOK_DUE_DELIVERIES, webhooks.waiting)
    yield Reading(families.WEBHOOK_OLDEST_DUE_SECONDS, webhooks.oldest_seconds or 0)


def _money(connection: Connection) -> Iterator[Reading]:
    spend = read_spend(connection)
    yield Reading(families.HELD_USD, float(spend.held_usd))
    yield Reading(families.SPENT_THIS_MONTH_USD, float(spend.month_usd))
    used = dict.fromkeys((kind.value for kind in SubjectKind), 0.0) | read_fullest(connection)
    yield from (Reading(families.BUDGET_USED_RATIO, ratio, (kind,)) for kind, ratio in used.items())


def _zeros() -> defaultdict[Labels, float]:
    found: defaultdict[Labels, float] = defaultdict(float)
    found.update({(model, tier): 0 for model in models() for tier in TIERS})
    return found


def _series(family: Family, values: Mapping[Labels, float]) -> Iterator[Reading]:
    return (Reading(family, value, labels) for labels, value in values.items())


_OPEN_BATCHES = text("""
    SELECT status, count(*) AS batches FROM batches
    WHERE status IN ('validating', 'in_progress', 'cancelling') GROUP BY status
""")

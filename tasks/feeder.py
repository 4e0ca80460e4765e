"""The feeder: keeps as many slices in each model's queue as its workers are about to need.

What lines wait for is chosen here, in Postgres, a moment before they run; the queue only carries.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from sqlalchemy import Connection, Integer, and_, cast, exists, func, or_, select

from tasks import feeding, slices
from tasks.batch import BatchStatus
from tasks.db import transaction
from tasks.errors import BrokerUnavailable
from tasks.feeding import OpenBatch
from tasks.live_workers import dead
from tasks.models import Batch, Job, JobStatus, Worker
from tasks.queue import SlicePublisher
from tasks.slices import Slice

_LOCK = 7_270_014
_LATELY_SECONDS = 5
_COUNT_LIMIT = 20_000
_MOST_BATCHES = 1000

log = structlog.get_logger(__name__)

_publisher = SlicePublisher()


@dataclass(slots=True)
class _Model:
    """What there is to know of a model at this moment, in lines."""

    batches: list[OpenBatch] = field(default_factory=list)
    flying: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    waiting: int = 0


def feed() -> int:
    """Publish the slices that are wanted now; returns how many lines. Two at once do it once.

    Raises BrokerUnavailable, DatabaseUnavailable.
    """
    with transaction() as connection:
        if not connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar():
            return 0
        wanted = [
            piece for model, state in _models(connection).items() for piece in _cut(connection, model, state)
        ]
    # Only now, for a worker may look for the lines at once. What is lost in between is found by time.
    try:
        _publisher.publish([(piece.id, piece.model, piece.alone) for piece in wanted])
    except BrokerUnavailable:
        with transaction() as connection:
            slices.take_back(connection, [piece.id for piece in wanted])
        raise
    return sum(piece.lines for piece in wanted)


def _models(connection: Connection) -> dict[str, _Model]:
    models: dict[str, _Model] = {}
    for batch in connection.execute(_OPEN):
        state = models.setdefault(batch.model or "", _Model())
        state.batches.append(
            OpenBatch(batch.id, batch.project_id, float(batch.seconds_left), batch.unfinished)
        )
    if not models:
        return {}
    for flying in connection.execute(_FLYING):
        if flying.model in models:
            state = models[flying.model]
            state.flying[flying.project_id] += flying.lines
            state.waiting += flying.waiting
    return models


def _cut(connection: Connection, model: str, state: _Model) -> list[Slice]:
    ended = _ended_lately(connection, model)
    room = feeding.window(_workers(connection, model), ended, slices.LINES) - state.waiting
    if room <= 0:
        return []
    found = _cut_suspects(connection, model, state.batches, room)
    if found:
        # Nothing between them, or the worker would have to run empty before each of them.
        return found
    open_batches = list(state.batches)
    while room > 0 and open_batches:
        batch = feeding.next_batch(open_batches, state.flying, ended / _LATELY_SECONDS)
        piece = slices.cut(connection, batch.id, model)
        if piece is None or piece.lines < slices.LINES:
            open_batches.remove(batch)
        if piece is not None:
            found.append(piece)
            room -= piece.lines
            state.flying[batch.project_id] += piece.lines
    return found


def _cut_suspects(connection: Connection, model: str, batches: Sequence[OpenBatch], room: int) -> list[Slice]:
    """Slices of lines that saw a worker die."""
    found: list[Slice] = []
    query = (
        select(Batch.id, Job.worker_losses)
        .join(Job, Job.batch_id == Batch.id)
        .where(
            Batch.id.in_([batch.id for batch in batches]),
            Job.status == JobStatus.QUEUED,
            Job.slice_id.is_(None),
            Job.worker_losses > 0,
        )
        .distinct()
    )
    for batch_id, worker_losses in connection.execute(query).all():
        while room > 0 and (piece := slices.cut_suspects(connection, batch_id, model, worker_losses)):
            found.append(piece)
            room -= piece.lines
    return found


def _workers(connection: Connection, model: str) -> int:
    query = select(func.count()).select_from(Worker).where(Worker.model == model, ~dead())
    return int(connection.execute(query).scalar_one())


def _ended_lately(connection: Connection, model: str) -> int:
    since = func.now() - timedelta(seconds=_LATELY_SECONDS)
    ended = select(Job.id).where(Job.model == model, Job.ended_at > since, Job.batch_id.is_not(None))
    query = select(func.count()).select_from(ended.limit(_COUNT_LIMIT).subquery())
    return int(connection.execute(query).scalar_one())


_waits_unfed = exists(
    select(Job.id).where(Job.batch_id == Batch.id, Job.status == JobStatus.QUEUED, Job.slice_id.is_(None))
)
_OPEN = (
    select(
        Batch.id,
        Batch.project_id,
        Batch.model,
        Batch.unfinished,
        func.extract("epoch", Batch.expires_at - func.now()).label("seconds_left"),
    )
    .where(
        Batch.status == BatchStatus.IN_PROGRESS,
        Batch.ends_as.is_(None),
        Batch.expires_at > func.now(),
        _waits_unfed,
    )
    .order_by(Batch.expires_at)
    .limit(_MOST_BATCHES)
)
_fed = and_(Job.status == JobStatus.QUEUED, Job.slice_id.is_not(None))
_FLYING = (
    select(
        Job.model,
        Job.project_id,
        func.count().label("lines"),
        func.sum(cast(_fed, Integer)).label("waiting"),
    )
    .where(Job.batch_id.is_not(None), or_(_fed, Job.status == JobStatus.IN_PROGRESS))
    .group_by(Job.model, Job.project_id)
)

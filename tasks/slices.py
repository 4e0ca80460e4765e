"""Slices: up to 64 lines of a batch that go to a worker as one message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from tasks import outbox
from tasks.db import transaction
from tasks.ids import new_id
from tasks.models import Job, JobStatus
from tasks.queue import slice_queue_for
from tasks.settings import settings

LINES = 64
_SUSPECTS = 8


@dataclass(frozen=True, slots=True)
class Slice:
    """``alone``: its worker is to run no other line beside these, for one of them may be what kills it."""

    id: str
    model: str
    lines: int
    alone: bool


def suspects_together(worker_losses: int) -> int:
    """How many lines that saw workers die go together; those with one chance left go one by one.

    Run apart from all others, only the guilty one uses up its last chance.
    """
    return 1 if worker_losses >= settings().max_worker_losses - 1 else _SUSPECTS


def cut(connection: Connection, batch_id: str, model: str) -> Slice | None:
    """Mark the batch's next lines; None where no line waits. Lines that begin alike go together."""
    slice_id = _mark(connection, batch_id, Job.worker_losses == 0, LINES)
    return None if slice_id is None else Slice(slice_id[0], model, slice_id[1], alone=False)


def cut_suspects(connection: Connection, batch_id: str, model: str, worker_losses: int) -> Slice | None:
    """As ``cut``, of the lines that saw so many workers die."""
    together = suspects_together(worker_losses)
    slice_id = _mark(connection, batch_id, Job.worker_losses == worker_losses, together)
    return None if slice_id is None else Slice(slice_id[0], model, slice_id[1], alone=True)


def take_back(connection: Connection, slice_ids: Sequence[str]) -> None:
    """The lines of slices that could not be published wait again."""
    connection.execute(
        update(Job)
        .where(Job.status == JobStatus.QUEUED, Job.slice_id.in_(slice_ids))
        .values(slice_id=None, published_at=None)
    )


def forget_lost() -> int:
    """Take lines back whose message must be gone: long published, and their queue is empty.

    A message may also wait with a worker; then its lines are handed out twice, which is harmless: the
    older message finds nothing. Raises BrokerUnavailable, DatabaseUnavailable.
    """
    stale = func.now() - timedelta(seconds=settings().republish_after_seconds)
    old = (Job.status == JobStatus.QUEUED, Job.slice_id.is_not(None), Job.published_at < stale)
    with transaction() as connection:
        models = connection.execute(select(Job.model).where(*old).distinct()).scalars().all()
    count = 0
    for model in models:
        if outbox.depth(slice_queue_for(model)) == 0:
            with transaction() as connection:
                statement = update(Job).where(*old, Job.model == model)
                count += connection.execute(statement.values(slice_id=None, published_at=None)).rowcount
    return count


def _mark(
    connection: Connection, batch_id: str, which: ColumnElement[bool], most: int
) -> tuple[str, int] | None:
    slice_id = new_id("slice")
    waiting = (
        select(Job.id)
        .where(
            Job.batch_id == batch_id,
            Job.status == JobStatus.QUEUED,
            Job.slice_id.is_(None),
            which,
        )
        .order_by(Job.worker_losses, Job.prefix_line, Job.line_number)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    statement = update(Job).where(Job.id.in_(waiting)).values(slice_id=slice_id, published_at=func.now())
    lines = connection.execute(statement).rowcount
    return (slice_id, lines) if lines else None

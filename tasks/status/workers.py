"""The workers: those that live, and those that died lately."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Float, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from tasks.live_workers import dead
from tasks.models import Job, JobStatus, Worker

_LATELY = timedelta(minutes=15)
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """``alive`` is what the scheduler goes by when it gives a worker's jobs to others."""

    id: str
    hostname: str
    process_id: int
    model: str
    device: str | None
    quantization: str
    slots: int
    in_flight: int
    alive: bool
    up_seconds: float
    silent_seconds: float


def read_workers(connection: Connection) -> list[WorkerStatus]:
    """By model, the oldest first, without those that left in good order."""
    in_flight = (
        select(func.count())
        .select_from(Job)
        .where(Job.owner == Worker.id, Job.status == JobStatus.IN_PROGRESS)
        .scalar_subquery()
    )
    query = (
        select(
            Worker.id,
            Worker.hostname,
            Worker.process_id,
            Worker.model,
            Worker.device,
            Worker.quantization,
            Worker.slots,
            in_flight.label("in_flight"),
            (~dead()).label("alive"),
            _seconds_since(Worker.created_at).label("up_seconds"),
            _seconds_since(Worker.last_seen_at).label("silent_seconds"),
        )
        .where(Worker.stopped_at.is_(None), Worker.last_seen_at > func.now() - _LATELY)
        .order_by(Worker.model, Worker.created_at)
        .limit(_MOST)
    )
    return [WorkerStatus(**row) for row in connection.execute(query).mappings()]


def _seconds_since(moment: InstrumentedAttribute[datetime]) -> ColumnElement[float]:
    return cast(func.extract("epoch", func.now() - moment), Float)

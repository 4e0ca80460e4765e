"""Everything at one look."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from tasks.broker import connected, in_memory
from tasks.db import transaction
from tasks.errors import BrokerUnavailable
from tasks.status.backlogs import BacklogStatus, read_outbox, read_webhooks
from tasks.status.batches import BatchesStatus, read_batches
from tasks.status.processes import ProcessStatus, read_processes
from tasks.status.queues import QueueStatus, read_queues
from tasks.status.spend import SpendStatus, read_spend
from tasks.status.traffic import TrafficStatus, read_traffic
from tasks.status.workers import WorkerStatus, read_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformStatus:
    """At a moment of the database's clock. ``broker_reachable`` is as seen from here."""

    at: datetime
    broker_reachable: bool
    workers: list[WorkerStatus]
    processes: list[ProcessStatus]
    queues: list[QueueStatus]
    traffic: TrafficStatus
    batches: BatchesStatus
    spend: SpendStatus
    outbox: BacklogStatus
    webhooks: BacklogStatus


def look() -> PlatformStatus:
    """How the platform stands. Raises DatabaseUnavailable; a broker that is away is part of the answer."""
    reachable = _broker_reachable()
    with transaction() as connection:
        return _read(connection, reachable)


def _read(connection: Connection, broker_reachable: bool) -> PlatformStatus:
    traffic = read_traffic(connection)
    return PlatformStatus(
        at=connection.execute(select(func.now())).scalar_one(),
        broker_reachable=broker_reachable,
        workers=read_workers(connection),
        processes=read_processes(connection),
        queues=read_queues(connection),
        traffic=traffic,
        batches=read_batches(connection, traffic.lines_per_minute),
        spend=read_spend(connection),
        outbox=read_outbox(connection),
        webhooks=read_webhooks(connection),
    )


def _broker_reachable() -> bool:
    if in_memory():
        return True
    try:
        with connected():
            return True
    except BrokerUnavailable:
        return False

"""Which workers are dead, by the database's own knowledge."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select, table, true

from tasks.models import Worker
from tasks.settings import settings

_LOCKS = table("pg_locks")


def dead(*, alone: bool = False) -> ColumnElement[bool]:
    """A condition on ``workers``: gone, silent past its lease, or silent with its lock set free.

    A database that has just started has heard from nobody yet and holds nobody's locks: until a
    lease's time has passed, only workers that said goodbye are dead. ``alone`` is for a platform in
    one process that is just starting: whoever was there before is dead.
    """
    said_goodbye = Worker.stopped_at.is_not(None)
    if alone:
        return true()
    now = func.now()
    silence = timedelta(seconds=settings().worker_silence_seconds)
    lease = timedelta(seconds=settings().lease_seconds)
    silent = or_(
        Worker.lease_expires_at < now,
        and_(Worker.last_seen_at < now - silence, ~_holds_lock()),
    )
    database_is_settled = func.pg_postmaster_start_time() < now - lease
    return or_(said_goodbye, and_(silent, database_is_settled))


def _holds_lock() -> ColumnElement[bool]:
    """A 64-bit advisory lock key stands in pg_locks as two halves, with objsubid 1."""
    column: Any = literal_column
    return exists(
        select(1)
        .select_from(_LOCKS)
        .where(
            column("locktype") == "advisory",
            column("granted"),
            column("database")
            == select(column("oid"))
            .select_from(table("pg_database"))
            .where(column("datname") == func.current_database())
            .scalar_subquery(),
            column("classid::bigint") == Worker.lock_key.op(">>")(32),
            column("objid::bigint") == Worker.lock_key.op("&")(0xFFFFFFFF),
            column("objsubid") == 1,
        )
        .correlate(Worker)
    )

"""What lies in storage, in the books: before it is written, and until it is erased."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from tasks.db import transaction
from tasks.errors import StorageUnavailable
from tasks.ids import new_id
from tasks.models import StoredObject
from tasks.settings import settings
from tasks.storage import storage

# Longer than any request that writes; what is not kept by then never will be.
_RESERVED = timedelta(days=1)
_TRY_AGAIN = timedelta(minutes=10)
_BATCH = 50

log = structlog.get_logger(__name__)


class ReservationLapsed(Exception):
    """The object was erased before anybody kept it."""


def reserve() -> str:
    """A key to write under. Unless it is kept, the object goes after a day, however its writer ended."""
    key = new_id("object")
    with transaction() as connection:
        connection.execute(insert(StoredObject).values(key=key, erase_at=func.now() + _RESERVED))
    return key


def keep(connection: Connection, key: str, *, until: datetime | None) -> None:
    """From the commit on the object stays, for good or for a time. Raises ReservationLapsed."""
    statement = update(StoredObject).where(StoredObject.key == key).values(erase_at=until)
    if connection.execute(statement).rowcount == 0:
        raise ReservationLapsed(key)


def release(connection: Connection, which: ColumnElement[bool], *, after: timedelta = timedelta()) -> None:
    """Let objects go, unless they go even sooner."""
    soonest = func.least(StoredObject.erase_at, func.now() + after)
    connection.execute(update(StoredObject).where(which).values(erase_at=soonest))


def discard(key: str) -> None:
    """Let an object go that nobody kept."""
    with transaction() as connection:
        release(connection, StoredObject.key == key)


def grace() -> timedelta:
    """For what has begun to read a file when it is deleted."""
    return timedelta(seconds=settings().deleted_file_grace_seconds)


def erase_old() -> int:
    """Erase what is to go, in storage and in the books; returns how many."""
    count = 0
    while True:
        with transaction() as connection:
            keys = _due(connection)
            erased = [key for key in keys if _erase(connection, key)]
            connection.execute(delete(StoredObject).where(StoredObject.key.in_(erased)))
        count += len(erased)
        if len(keys) < _BATCH:
            return count


def _due(connection: Connection) -> list[str]:
    query = (
        select(StoredObject.key)
        .where(StoredObject.erase_at <= func.now())
        .order_by(StoredObject.erase_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query).scalars())


def _erase(connection: Connection, key: str) -> bool:
    try:
        storage().delete(key)
    except StorageUnavailable:
        # Later, so that it is not in the way of others.
        again = update(StoredObject).where(StoredObject.key == key)
        connection.execute(again.values(erase_at=func.now() + _TRY_AGAIN))
        return False
    return True

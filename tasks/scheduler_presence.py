"""Which schedulers live: each says so in a row of its own."""

import os
import socket
from datetime import timedelta
from functools import cache

from sqlalchemy import ColumnElement, delete, func
from sqlalchemy.dialects.postgresql import insert

from tasks.db import transaction
from tasks.ids import new_id
from tasks.models import Scheduler

_SILENCE = timedelta(seconds=30)
_REMEMBERED = timedelta(days=1)


def note() -> None:
    """Say that this process lives, and forget those that have not for long. Raises DatabaseUnavailable."""
    row = insert(Scheduler).values(id=_own_id(), hostname=socket.gethostname(), process_id=os.getpid())
    with transaction(durable=False) as connection:
        connection.execute(
            row.on_conflict_do_update(index_elements=[Scheduler.id], set_={"last_seen_at": func.now()})
        )
        connection.execute(delete(Scheduler).where(Scheduler.last_seen_at < func.now() - _REMEMBERED))


def alive() -> ColumnElement[bool]:
    """A condition on ``schedulers``."""
    return Scheduler.last_seen_at > func.now() - _SILENCE


@cache
def _own_id() -> str:
    return new_id("scheduler")

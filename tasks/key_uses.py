"""When keys were last used: noted about once a minute for each, behind the requests' back."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import structlog
from sqlalchemy import ColumnElement, func, or_, text, update

from tasks.db import transaction
from tasks.models import ApiKey

_EVERY = text("interval '1 minute'")

log = structlog.get_logger(__name__)


def is_due() -> ColumnElement[bool]:
    """Whether a key's last note is so old that another is due, in SQL."""
    return or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - _EVERY)


def note_soon(key_id: str) -> Future[None]:
    """Note that a key is being used, without waiting for it. What the database refuses is left out."""
    return _writer().submit(_note, key_id)


@cache
def _writer() -> ThreadPoolExecutor:
    """One thread, started when it is first needed, so after a server's processes have forked."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenmill-key-uses")


def _note(key_id: str) -> None:
    # Several processes see that it is due; the first writes.
    statement = update(ApiKey).where(ApiKey.id == key_id, is_due()).values(last_used_at=func.now())
    try:
        with transaction(durable=False) as connection:
            connection.execute(statement)
    except Exception as error:
        log.warning("use not noted", action="key_use_lost", key_id=key_id, error=type(error).__name__)

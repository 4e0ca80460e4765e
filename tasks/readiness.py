"""Whether the platform can take and run work, and if not, what is missing."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import Connection, exists, select, text

from tasks import broker, circuit, migrate, redis_client, scheduler_presence
from tasks.db import transaction
from tasks.errors import BrokerUnavailable, DatabaseUnavailable, StorageUnavailable
from tasks.live_workers import dead
from tasks.models import Worker
from tasks.redis_library import RedisError
from tasks.settings import settings
from tasks.storage import ObjectMissing, storage

_CACHE_SECONDS = 1.0
# Storage may be far away, and each write of it may cost money.
_STORAGE_CACHE_SECONDS = 30.0
_PROBE_KEY = "readiness-probe"

_SCHEMA = text("""
    SELECT current_setting('transaction_read_only') = 'on' AS read_only,
           to_regclass('alembic_version') IS NOT NULL AS has_schema
""")
_REVISION = text("SELECT max(version_num) FROM alembic_version")


@dataclass(frozen=True, slots=True)
class Check:
    """One that is not ``required`` makes the platform worse where it fails, not unready."""

    ok: bool
    detail: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    checks: dict[str, Check]


_lock = threading.Lock()
_last: tuple[float, Readiness] | None = None
_last_storage: tuple[float, Check] | None = None


def readiness() -> Readiness:
    """What jobs need and what else there should be, as it was found within the last second."""
    global _last
    # One probe at a time: a broker that hangs must not tie up every thread that asks.
    with _lock:
        if _last is None or _last[0] <= monotonic():
            checks = dict(_checks())
            ready = all(check.ok for check in checks.values() if check.required)
            _last = (monotonic() + _CACHE_SECONDS, Readiness(ready, checks))
        return _last[1]


def forget() -> None:
    """As if nobody had asked yet."""
    global _last, _last_storage
    _last = _last_storage = None


def _checks() -> Iterator[tuple[str, Check]]:
    yield from _in_database()
    yield "broker", _broker()
    if settings().redis_url is not None:
        yield "redis", _redis()
    yield "storage", _storage()
    if settings().data_dir.expanduser().exists():
        yield "disk", _disk()
    for target, is_open in circuit.states().items():
        if target not in ("broker", "redis", "storage"):
            detail = "Failed again and again, and is tried again soon." if is_open else None
            yield target, Check(not is_open, detail, required=False)


def _in_database() -> Iterator[tuple[str, Check]]:
    try:
        with transaction() as connection:
            found = list(_found_in(connection))
    except DatabaseUnavailable as error:
        away = "Unknown while the database is away."
        found = [("database", Check(False, error.message)), ("schema", Check(False, away))]
        found += _workers(None, away)
        found.append(("scheduler", Check(False, away, required=False)))
    yield from found


def _found_in(connection: Connection) -> Iterator[tuple[str, Check]]:
    row = connection.execute(_SCHEMA).one()
    yield "database", Check(not row.read_only, "It takes no writes." if row.read_only else None)
    revision = connection.execute(_REVISION).scalar() if row.has_schema else None
    if migrate.is_outdated(revision):
        missing = "The schema is not the one this version needs; run `tokenmill db upgrade`."
        yield "schema", Check(False, missing)
        yield from _workers(None, "Unknown without the schema.")
        return
    yield "schema", Check(True)
    alive = set(connection.execute(select(Worker.model).where(~dead()).distinct()).scalars())
    yield from _workers(alive, "No live worker serves this model.")
    scheduled = connection.execute(select(exists().where(scheduler_presence.alive()))).scalar_one()
    detail = None if scheduled else "No scheduler lives: batches, expiries and webhooks wait for one."
    yield "scheduler", Check(bool(scheduled), detail, required=False)


def _workers(alive: set[str] | None, missing: str) -> list[tuple[str, Check]]:
    """Of models that embed, an installation may do without."""
    return [
        (
            f"worker:{spec.name}",
            Check(True, required=spec.task == "generate")
            if alive is not None and spec.name in alive
            else Check(False, missing, required=spec.task == "generate"),
        )
        for spec in settings().model_catalog()
    ]


def _broker() -> Check:
    try:
        broker.probe()
    except BrokerUnavailable:
        return Check(False, "The message broker can't be reached, or takes no messages.")
    return Check(True)


def _redis() -> Check:
    """Needed only where nothing is let through without it."""
    required = settings().limits_when_redis_is_away == "closed"
    try:
        redis_client.client().ping()
    except RedisError:
        redis_client.circuit().failed()
        return Check(False, "Redis can't be reached.", required)
    redis_client.circuit().succeeded()
    return Check(True, required=required)


def _storage() -> Check:
    global _last_storage
    if _last_storage is None or _last_storage[0] <= monotonic():
        _last_storage = (monotonic() + _STORAGE_CACHE_SECONDS, _written())
    return _last_storage[1]


def _written() -> Check:
    try:
        with storage().writing(_PROBE_KEY) as write:
            write(b"ready")
    except (StorageUnavailable, ObjectMissing):
        return Check(False, "Files can't be written.", required=False)
    return Check(True, required=False)


def _disk() -> Check:
    free_bytes = shutil.disk_usage(settings().data_dir.expanduser()).free
    if free_bytes < settings().min_free_disk_bytes:
        return Check(False, f"{free_bytes // 1024**2} MiB are free in the data directory.", required=False)
    return Check(True, required=False)

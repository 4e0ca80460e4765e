"""Connections to Postgres: one pool per process, short transactions, one error when it is away."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from tasks.errors import DatabaseUnavailable
from tasks.settings import settings

log = structlog.get_logger(__name__)

_NOT_DURABLE = text("SET LOCAL synchronous_commit TO off")
# A statement, or its wait for a lock, took longer than it may.
_TIMED_OUT = ("57014", "55P03")
_TOO_LONG = "The database took too long; nothing was changed. Try again shortly."
_BUSY = "The database has no connection free; nothing was changed. Try again shortly."

_after_commit: WeakKeyDictionary[Connection, list[Callable[[], None]]] = WeakKeyDictionary()

PROCESS_NAME = r"tokenmill (?P<kind>[a-z]+) (?P<process_id>\d+)@(?P<hostname>.*)"
"""What connections are called, in Postgres's own list of them."""
# Postgres cuts off what is longer.
_LONGEST_NAME = 63
_kind = "command"


def name_process(kind: str) -> None:
    """Say which of the platform's processes this is. Called before it connects."""
    global _kind
    _kind = kind


def connect_arguments() -> dict[str, object]:
    """What libpq is told. Keepalives notice a vanished server within half a minute."""
    return {
        "connect_timeout": settings().database_connect_timeout_seconds,
        "application_name": f"tokenmill {_kind} {os.getpid()}@{socket.gethostname()}"[:_LONGEST_NAME],
        "options": f"-c statement_timeout={settings().database_statement_timeout_seconds * 1000}"
        " -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s -c timezone=UTC",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # Keepalives look after idle connections alone: what was sent and never arrives is tried again for
        # a quarter of an hour otherwise.
        "tcp_user_timeout": 25_000,
    }


@cache
def engine() -> Engine:
    """The process's pool. A forked child must not inherit it: create it after the fork."""
    return create_engine(
        psycopg2_url(settings().database_url),
        pool_size=settings().database_pool_size,
        max_overflow=settings().database_pool_size,
        pool_timeout=settings().database_connect_timeout_seconds,
        pool_use_lifo=True,
        executemany_mode="values_plus_batch",
        # Parameters hold prompts and outputs, and an error's text ends up in the log.
        hide_parameters=True,
        connect_args=connect_arguments(),
    )


def unpooled_engine(database_url: str) -> Engine:
    """Connections that close when they are done with: for migrations and for locks tied to a connection."""
    return create_engine(psycopg2_url(database_url), poolclass=NullPool)


def psycopg2_url(database_url: str) -> str:
    """Accepts the URL spellings that hosting platforms hand out."""
    for scheme in ("postgresql://", "postgres://"):
        if database_url.startswith(scheme):
            return "postgresql+psycopg2://" + database_url.removeprefix(scheme)
    return database_url


@contextmanager
def transaction(*, durable: bool = True) -> Iterator[Connection]:
    """A transaction that commits at the end of the block.

    One that is not ``durable`` returns before its commit is on disk: for notes that a crash of the
    database may take back without harm.

    Raises:
        DatabaseUnavailable: the server is away, starting, stopping or too busy to hand out a connection.
            Whether a commit that failed this way took effect is not known.
    """
    try:
        with engine().begin() as connection:
            if not durable:
                connection.execute(_NOT_DURABLE)
            yield connection
        _carry_out(_after_commit.pop(connection, ()))
    except PoolTimeout as error:
        log.warning("no connection free", action="database_busy", pool=engine().pool.status())
        raise DatabaseUnavailable(_BUSY, code="database_busy") from error
    except DBAPIError as error:
        if not is_outage(error):
            raise
        cause = type(error.orig).__name__
        sqlstate = getattr(error.orig, "pgcode", None)
        log.warning("database away", action="database_away", cause=cause, sqlstate=sqlstate)
        if sqlstate in _TIMED_OUT:
            raise DatabaseUnavailable(_TOO_LONG, code="database_timeout") from error
        raise DatabaseUnavailable from error


def after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Have something done once this transaction is committed, and never if it is not.

    It must be of no consequence: where it fails that is logged, and it is not done where the answer to the
    commit was lost.
    """
    _after_commit.setdefault(connection, []).append(call)


def is_outage(error: DBAPIError) -> bool:
    """Whether the server, rather than the statement, is at fault."""
    return error.connection_invalidated or isinstance(error, OperationalError)


def _carry_out(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("not done after a commit", action="after_commit_failed")

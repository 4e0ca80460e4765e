"""Connections to Postgres: one pool per process, short transactions, one error when it is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import structlog
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from tasks.errors import DatabaseUnavailable
from tasks.settings import settings

log = structlog.get_logger(__name__)

_NOT_DURABLE = text("SET LOCAL synchronous_commit TO off")


def connect_arguments() -> dict[str, object]:
    """What libpq is told. Keepalives notice a vanished server within half a minute."""
    return {
        "connect_timeout": settings().database_connect_timeout_seconds,
        "application_name": "tokenmill",
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
    except PoolTimeout as error:
        log.warning("no connection free", action="database_busy", pool=engine().pool.status())
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if not is_outage(error):
            raise
        cause = type(error.orig).__name__
        sqlstate = getattr(error.orig, "pgcode", None)
        log.warning("database away", action="database_away", cause=cause, sqlstate=sqlstate)
        raise DatabaseUnavailable from error


def is_outage(error: DBAPIError) -> bool:
    """Whether the server, rather than the statement, is at fault."""
    return error.connection_invalidated or isinstance(error, OperationalError)

"""Connections to the broker, and one error for all the ways in which it can be away."""

from collections.abc import Iterator
from contextlib import contextmanager

from kombu import Connection
from kombu.exceptions import OperationalError

from tasks.errors import BrokerUnavailable
from tasks.settings import settings


def in_memory() -> bool:
    """Whether the broker is this process's own memory, so that everybody it could reach is in it too."""
    return settings().broker_url.startswith("memory:")


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turns the block's connection failures into BrokerUnavailable."""
    # Imported here: the app's configuration needs modules that use this one.
    from tasks.app import app

    try:
        yield
    except (OperationalError, OSError, *app.connection_for_write().connection_errors) as error:
        raise BrokerUnavailable(f"The message broker can't be reached: {error!r}") from error


@contextmanager
def connected() -> Iterator[Connection]:
    """A connection of the block's own. Raises BrokerUnavailable after one try and another."""
    from tasks.app import app

    connection: Connection = app.connection_for_write()
    try:
        with broker_errors():
            connection.ensure_connection(max_retries=1, interval_start=0)
            yield connection
    finally:
        connection.release()

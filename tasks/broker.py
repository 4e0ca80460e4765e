"""Connections to the broker, and one error for all the ways in which it can be away."""

from collections.abc import Iterator
from contextlib import contextmanager

from kombu import Connection, Producer
from kombu.entity import TRANSIENT_DELIVERY_MODE
from kombu.exceptions import OperationalError

from tasks.circuit import Circuit, circuit_of
from tasks.errors import BrokerUnavailable
from tasks.settings import settings

_LONGEST_PAUSE_SECONDS = 5.0


class BrokerLeftAlone(BrokerUnavailable):
    """The message broker was away a moment ago."""


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


def circuit() -> Circuit:
    """One for all that this process sends."""
    return circuit_of("broker", most_seconds=_LONGEST_PAUSE_SECONDS)


@contextmanager
def guarded() -> Iterator[None]:
    """``broker_errors`` for who sends; raises BrokerLeftAlone at once where the broker was just away."""
    if not circuit().allows():
        raise BrokerLeftAlone
    try:
        with broker_errors():
            yield
    except BrokerUnavailable:
        circuit().failed()
        raise
    circuit().succeeded()


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


def probe() -> None:
    """Returns when the broker has taken a message; it throws it away, for no queue has the name.

    Asks even where it was just away. Raises BrokerUnavailable.
    """
    if in_memory():
        return
    try:
        with connected() as connection, broker_errors():
            Producer(connection).publish(
                {},
                exchange="",
                routing_key=f"{settings().queue_prefix}.nowhere",
                serializer="json",
                delivery_mode=TRANSIENT_DELIVERY_MODE,
                retry=False,
                confirm_timeout=settings().broker_connect_timeout_seconds,
            )
    except BrokerUnavailable:
        circuit().failed()
        raise
    circuit().succeeded()

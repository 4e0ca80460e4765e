import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.services.balancer import Balancer
from tests.services.errors import ServiceError
from tests.services.ports import free_ports

END = b"."


class Named:
    """A server that answers each line with its name, and hangs up when told to."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                while (data := connection.recv(100)) and data != END:
                    connection.sendall(self._name)


@pytest.fixture
def servers() -> Iterator[list[Named]]:
    with ExitStack() as open_ones:
        yield [open_ones.enter_context(closing(Named(name))) for name in (b"one", b"two")]


@pytest.fixture
def balancer(servers: list[Named]) -> Iterator[Balancer]:
    # In front of both is a port that nobody listens on any more.
    started = Balancer(0, [*free_ports(1), *(server.port for server in servers)])
    started.start()
    yield started
    started.stop()


def connect(balancer: Balancer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", balancer.port), timeout=10)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"who?")
    return connection.recv(100)


def test_connections_go_to_those_that_answer_in_turn(balancer: Balancer) -> None:
    for _ in range(2):
        with connect(balancer) as first, connect(balancer) as second:
            assert {ask(first), ask(second)} == {b"one", b"two"}


def test_end_of_a_server_s_answer_reaches_its_client(balancer: Balancer) -> None:
    with connect(balancer) as connection:
        ask(connection)
        connection.sendall(END)
        assert connection.recv(100) == b""


def test_client_that_leaves_is_missed_by_nobody(balancer: Balancer) -> None:
    for _ in range(4):
        connect(balancer).close()
    with connect(balancer) as connection:
        assert ask(connection) in (b"one", b"two")


def test_answer_to_a_client_that_is_still_sending_reaches_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as refusing:
        balancer = Balancer(0, [refusing.getsockname()[1]])
        balancer.start()
        with connect(balancer) as client:
            sender = threading.Thread(target=send_without_end, args=(client,), daemon=True)
            sender.start()
            server, _ = refusing.accept()
            server.recv(100)
            server.sendall(b"413")
            # With much unread, this resets the connection.
            server.close()
            assert client.recv(100) == b"413"
        sender.join()
        balancer.stop()


def send_without_end(client: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client.sendall(b"x" * 65_536)


def test_where_no_server_is_left_the_client_is_told_so() -> None:
    alone = Balancer(0, free_ports(2))
    alone.start()
    with connect(alone) as connection:
        assert connection.recv(100) == b""
    alone.stop()


def test_port_in_use_is_told(balancer: Balancer) -> None:
    with pytest.raises(ServiceError, match="Can't listen on "):
        Balancer(balancer.port, []).start()


def test_stopping_cuts_what_is_left(servers: list[Named]) -> None:
    balancer = Balancer(0, [servers[0].port])
    balancer.start()
    with connect(balancer) as connection:
        ask(connection)
        balancer.stop()
        assert connection.recv(100) == b""

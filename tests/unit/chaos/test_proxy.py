import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while piece := self.request.recv(1024):
                self.request.sendall(piece)
        except ConnectionResetError:
            return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with Proxy.to_port(server.server_address[1]) as line:
            yield line
        server.shutdown()


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as one:
        assert ask(one, b"hello") == b"hello"
        yield one


def ask(connection: socket.socket, question: bytes) -> bytes:
    connection.sendall(question)
    return connection.recv(1024)


def test_reset_line_ends_its_connections_and_takes_new_ones(proxy: Proxy, connection: socket.socket) -> None:
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        connection.recv(1024)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as another:
        assert ask(another, b"again") == b"again"


def test_stalled_line_delivers_later_what_it_was_given(proxy: Proxy, connection: socket.socket) -> None:
    stalled = threading.Thread(target=proxy.stall, args=(0.4,))
    stalled.start()
    time.sleep(0.1)
    began = time.monotonic()
    assert ask(connection, b"late") == b"late"
    assert time.monotonic() - began > 0.2
    stalled.join()


def test_what_a_line_swallows_is_lost_with_its_connection(proxy: Proxy, connection: socket.socket) -> None:
    swallowing = threading.Thread(target=proxy.swallow, args=(0.3,))
    swallowing.start()
    time.sleep(0.1)
    with pytest.raises(ConnectionResetError):
        ask(connection, b"lost")
    swallowing.join()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as another:
        assert ask(another, b"again") == b"again"


def test_line_to_nobody_resets_whoever_connects() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with (
            Proxy.to_port(unused.getsockname()[1]) as line,
            pytest.raises(ConnectionResetError),
            socket.create_connection(("127.0.0.1", line.port), timeout=5) as one,
        ):
            ask(one, b"anybody?")

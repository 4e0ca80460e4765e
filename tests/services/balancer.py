"""One address for several web processes, as a reverse proxy gives them in production."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from tests.services.errors import ServiceError

CHUNK_BYTES = 65_536
CONNECT_SECONDS = 5
# A client that is refused early is still sending, and would miss the answer if it were cut off at once.
LINGER_SECONDS = 5


class Balancer:
    """Hands each connection to the next process that takes it. Bytes only: it reads no HTTP."""

    def __init__(self, port: int, targets: Sequence[int]) -> None:
        self.port = port
        self._targets = list(targets)
        self._turn = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises ServiceError where the port is in use; port 0 becomes a free one."""
        try:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=2048)
        except OSError as error:
            raise ServiceError(f"Can't listen on 127.0.0.1:{self.port}: {error.strerror}") from error
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), name="balancer", daemon=True).start()

    def stop(self) -> None:
        """Cuts the connections that are left."""
        if self._listener is not None:
            _hang_up(self._listener)
            self._listener.close()
        for connection in list(self._open):
            _hang_up(connection)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="balanced", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            upstream = self._next_that_answers()
            if upstream is None:
                return
            with upstream:
                both = {client, upstream}
                self._open |= both
                _connect(client, upstream)
                self._open -= both

    def _next_that_answers(self) -> socket.socket | None:
        for _ in self._targets:
            with self._turn:
                port = self._targets.pop(0)
                self._targets.append(port)
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
                connection.settimeout(None)
                return connection
        return None


def _connect(client: socket.socket, upstream: socket.socket) -> None:
    """Until the process has no more to say, whatever the client still has to send."""
    sending = threading.Thread(target=_send, args=(client, upstream), name="balanced-sending", daemon=True)
    sending.start()
    _pass_on(upstream, client)
    sending.join(LINGER_SECONDS)
    _hang_up(client)
    _hang_up(upstream)
    sending.join()


def _send(client: socket.socket, upstream: socket.socket) -> None:
    _pass_on(client, upstream)
    with suppress(OSError):
        while client.recv(CHUNK_BYTES):
            continue


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until one side has gone; the other is told that no more comes."""
    with suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

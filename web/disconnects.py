"""Noticing that a client went away while its request waits: told by the kernel, without asking it."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Where gunicorn leaves the client's socket; other servers, and Flask's test client, have none.
SOCKET = "gunicorn.socket"


class Client:
    """One whose request is being served. ``gone`` is whether it has closed its connection."""

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self.gone = False
        self._on_gone = on_gone

    def leave(self) -> None:
        self.gone = True
        self._on_gone()


class _Watch:
    """One thread for all clients of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[int, Client] = {}
        self._epoll = select.epoll()
        threading.Thread(target=self._run, name="tokenmill-disconnects", daemon=True).start()

    def add(self, fileno: int, client: Client) -> None:
        with self._lock:
            self._clients[fileno] = client
            # Once each: a closed connection would be reported for as long as it is watched.
            self._epoll.register(
                fileno, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLONESHOT
            )

    def remove(self, fileno: int) -> None:
        with self._lock:
            del self._clients[fileno]
            with suppress(OSError):
                self._epoll.unregister(fileno)

    def _run(self) -> None:
        while True:
            for fileno, _ in self._epoll.poll():
                with self._lock:
                    client = self._clients.get(fileno)
                    # The number may have passed to another connection since.
                    if client is not None and _closed(fileno):
                        client.leave()


def _closed(fileno: int) -> bool:
    poll = select.poll()
    poll.register(fileno, select.POLLRDHUP)
    return bool(poll.poll(0))


_watch: _Watch | None = None
_watch_lock = threading.Lock()


@contextmanager
def watched(environ: dict[str, Any], on_gone: Callable[[], None]) -> Iterator[Client]:
    """The client of a request; ``on_gone`` is called from another thread, and must be quick.

    Where the server or the system can't tell, the client seems to stay.
    """
    client = Client(on_gone)
    connection = environ.get(SOCKET)
    if not isinstance(connection, socket.socket) or not hasattr(select, "epoll"):
        yield client
        return
    fileno = connection.fileno()
    watch = _the_watch()
    watch.add(fileno, client)
    try:
        yield client
    finally:
        watch.remove(fileno)


def _the_watch() -> _Watch:
    """Started with its first use, so never before a fork."""
    global _watch
    if _watch is None:
        with _watch_lock:
            if _watch is None:
                _watch = _Watch()
    return _watch

"""Connections of clients who take their time: no thread waits for a request's headers, and none for long
for its body or for its answer to be taken.

gunicorn's own threads wait for whatever a connection sends first, so that as many idle ones as there are
threads keep everybody out. Here the main loop collects the headers, however slowly they come.
"""

import errno
import selectors
import socket
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from time import monotonic
from typing import Any

import structlog
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.http.unreader import SocketUnreader
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from tasks.settings import settings
from web import unreadable
from web.requests import RequestTooSlow

# With its query, which may list a hundred ids.
LONGEST_REQUEST_LINE = 8190
_LONGEST_HEAD = 32 * 1024
_READ_BYTES = 16 * 1024
_HEAD_END = b"\r\n\r\n"
# A body may come so slowly, but not more so.
_FEWEST_BYTES_A_SECOND = 4096
# Of a body that nobody has read, gunicorn throws away so much and keeps the connection, and no more.
_MOST_DRAINED_BYTES = 64 * 1024
_NOTHING_TO_ACCEPT = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED}
_NO_FILES_LEFT = {errno.EMFILE, errno.ENFILE}

log = structlog.get_logger(__name__)


class _Head(Enum):
    """How much of a request's head is there."""

    PART = auto()
    WHOLE = auto()
    TOO_LONG = auto()
    NONE_TO_COME = auto()


class TimedReader(SocketUnreader):
    """Reads a request from a socket, or raises RequestTooSlow: the connection is then of no more use."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.too_slow = False
        self._until = 0.0

    def begin(self, head: bytes) -> None:
        """The next request begins with what has been read of it already."""
        self._until = monotonic() + settings().body_timeout_seconds
        self.unread(head)

    def chunk(self, size_hint: int | None = None) -> bytes:
        before = self.sock.gettimeout()
        left = self._until - monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            self.too_slow = True
            raise RequestTooSlow from None
        finally:
            self.sock.settimeout(before)
        self._until += len(data) / _FEWEST_BYTES_A_SECOND
        return data


class Connection(TConn):
    """``head`` is what has come of the next request while no thread has it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.head = bytearray()

    def read_head(self) -> _Head:
        """Take what is there; never waits."""
        try:
            data = self.sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return _Head.PART
        except OSError:
            return _Head.NONE_TO_COME
        if not data:
            return _Head.NONE_TO_COME
        looked_at = max(0, len(self.head) - len(_HEAD_END) + 1)
        self.head += data
        if self.head.find(_HEAD_END, looked_at) >= 0:
            return _Head.WHOLE
        return _Head.TOO_LONG if len(self.head) > _LONGEST_HEAD else _Head.PART

    def begin(self) -> None:
        """Have a thread read the request whose head is there."""
        self.sock.setblocking(True)
        self.init()
        if not isinstance(self.parser.unreader, TimedReader):
            self.parser.unreader = TimedReader(self.sock)
        self.parser.unreader.begin(bytes(self.head))
        self.head.clear()

    def wait_for_next(self) -> None:
        """What was read beyond a request is the next one's; no thread need have a part of its head."""
        ahead = self.parser.unreader.take_buffered()
        if _HEAD_END in ahead:
            self.parser.unreader.unread(ahead)
        else:
            self.head += ahead

    def close(self, graceful: bool = False) -> None:
        if self.sock.fileno() >= 0:
            super().close(graceful)


class PatientWorker(ThreadWorker):
    """gunicorn's worker, but for waiting: see above."""

    pending_conns: deque[Connection]
    keepalived_conns: deque[Connection]

    def accept(self, listener: Any) -> None:
        if self.nr_conns >= self.worker_connections - 1:
            self._drop_idlest()
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_FILES_LEFT:
                self._drop_idlest()
            elif error.errno not in _NOTHING_TO_ACCEPT:
                raise
            return
        self.nr_conns += 1
        self._collect(Connection(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._collect(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        found = conn.read_head()
        if found is not _Head.PART:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._go_on(conn, found)

    def murder_pending(self) -> None:
        now = monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            conn = self._pop(self.pending_conns)
            # One that has sent nothing has asked for no answer.
            self._end(conn, unreadable.answer(RequestTooSlow()) if conn.head else None)

    def handle(self, conn: Connection) -> Any:
        conn.begin()
        kept = super().handle(conn)
        if not kept:
            # Here, for it lingers: in the main loop it would hold up everybody.
            conn.close(graceful=True)
        return kept

    def handle_request(self, req: Any, conn: Connection) -> Any:
        # Of a client that takes nothing of its answer.
        conn.sock.settimeout(settings().send_timeout_seconds)
        # Said in the answer: a client that is not told sends its next request where nobody reads it.
        req.should_close = partial(_ends_after, req, req.should_close)
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if conn.parser.unreader.too_slow:
            return False
        try:
            kept = bool(super()._keepalive_after(conn, keepalive))
        except RequestTooSlow:
            return False
        if kept:
            conn.wait_for_next()
        return kept

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _collect(self, conn: Connection) -> None:
        """Have a thread serve the connection's next request as soon as its head is there."""
        found = conn.read_head()
        if found is not _Head.PART:
            self._go_on(conn, found)
            return
        # The same for all, so those that wait are in the order of their time-outs.
        conn.timeout = monotonic() + settings().header_timeout_seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _go_on(self, conn: Connection, found: _Head) -> None:
        if found is _Head.WHOLE:
            conn.data_ready = True
            self.enqueue_req(conn)
        elif found is _Head.TOO_LONG:
            in_line = b"\r\n" not in conn.head[: LONGEST_REQUEST_LINE + 2]
            self._end(conn, unreadable.answer(LimitRequestLine(0, 0) if in_line else LimitRequestHeaders("")))
        else:
            self._end(conn)

    def _drop_idlest(self) -> None:
        """Make room: whoever has kept a connection for longest without a request can make another."""
        waiting = self.pending_conns or self.keepalived_conns
        if waiting:
            self._end(self._pop(waiting))

    def _pop(self, waiting: deque[Connection]) -> Connection:
        conn = waiting.popleft()
        self.poller.unregister(conn.sock)
        return conn

    def _end(self, conn: Connection, last_words: bytes | None = None) -> None:
        self.nr_conns -= 1
        if last_words is None:
            conn.close()
            return
        try:
            write_nonblock(conn.sock, last_words)
        except OSError as error:
            log.debug("client gone", action="refusal_unread", error=type(error).__name__)
        self.tpool.submit(conn.close, graceful=True)


def _ends_after(req: Any, asked_for: Callable[[], bool]) -> bool:
    """Whether a connection ends with the answer: as its client asks, or with much of a body unread."""
    return asked_for() or getattr(req.body.reader, "length", 0) > _MOST_DRAINED_BYTES

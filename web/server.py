"""gunicorn, set up for Tokenmill: requests in threads, and a Ctrl-C that lets them finish."""

import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.util import write_nonblock

from tasks import logs
from tasks.settings import settings
from web import unreadable
from web.connections import LONGEST_REQUEST_LINE, PatientWorker

_KEEPALIVE_SECONDS = 75
# A process whose main thread is silent for this long is replaced.
_SILENCE_SECONDS = 60
# Kept alive beside those that are being served.
_IDLE_CONNECTIONS = 1000
# Beside connections: the database's, the broker's, logs.
_OTHER_FILES = 256


class QuietLogger(Logger):
    """gunicorn's messages go where ours go, in the same form."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.propagate = True
        self._access_log_enabled = False


class DrainingWorker(PatientWorker):
    """Finishes what it serves when asked to stop; its master alone decides when that is."""

    def init_signals(self) -> None:
        super().init_signals()
        # A terminal's Ctrl-C reaches the whole process group, and by default ends this process at once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        application: Flask = self.wsgi
        application.extensions["long_polls"].stop()
        super().handle_exit(sig, frame)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        answer = unreadable.answer(exc)
        if answer is None:
            super().handle_error(req, client, addr, exc)
        else:
            write_nonblock(client, answer)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        # Leaving in an orderly way would wait for every thread that is still at work.
        os._exit(1)


class DrainingArbiter(Arbiter):
    """The master: the first Ctrl-C drains, the second does not wait."""

    def __init__(self, app: BaseApplication, on_stopping: Callable[[], None]) -> None:
        super().__init__(app)
        self._on_stopping = on_stopping

    def handle_int(self) -> None:
        self.handle_term()

    def handle_term(self) -> None:
        self._on_stopping()
        super().handle_term()


class Server(BaseApplication):
    """An HTTP server on a socket that is already bound."""

    def __init__(
        self,
        listener: socket.socket,
        options: Mapping[str, Any],
        *,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = {
            "bind": f"fd://{listener.detach()}",
            "worker_class": DrainingWorker,
            "logger_class": QuietLogger,
            "keepalive": _KEEPALIVE_SECONDS,
            "limit_request_line": LONGEST_REQUEST_LINE,
            "timeout": _SILENCE_SECONDS,
            "graceful_timeout": max(1, round(settings().drain_grace_seconds)),
            "control_socket_disable": True,
            "proc_name": "tokenmill",
            "worker_connections": int(options["threads"]) + _IDLE_CONNECTIONS,
            **options,
        }
        self._on_stopping = on_stopping
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # Imported after the fork: nothing that opens connections may be shared between processes.
        from web import warmup
        from web.app import create_app

        warmup.load_tokenizers()
        _allow_files(self.cfg.worker_connections + _OTHER_FILES)
        return create_app(threads=self.cfg.threads)

    def run(self) -> None:
        """Serve until told to stop, then return."""
        logs.configure()
        try:
            DrainingArbiter(self, self._on_stopping).run()
        except SystemExit as end:
            if end.code:
                raise


def _allow_files(wanted: int) -> None:
    """Each connection is an open file, and many systems allow a thousand unless asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 picks a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Without listening, a second server could bind the same address until this one does.
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """How a client on this machine reaches a bound socket."""
    host, port = listener.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

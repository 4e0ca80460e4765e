"""The embedded platform: one server process with Postgres beneath it and worker and scheduler inside."""

import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks import db, keys, logs, migrate, projects, readiness
from tasks.embedded import Background, EmbeddedDatabase, start_background
from tasks.errors import AuthenticationFailed
from tasks.receipts import signing
from tasks.settings import settings
from tasks.tracing import recording
from web.server import DrainingArbiter, DrainingWorker, Server

_FEWEST_THREADS = 64
# Beyond the jobs' own grace: for requests, for the engine to close, for the last commits.
_STOP_MARGIN_SECONDS = 15
_LOOK_EVERY_SECONDS = 0.25


@contextmanager
def embedded_platform(data_dir: Path) -> Iterator[None]:
    """Postgres up and migrated, and the settings of this process and its children pointing at it.

    Raises DataDirectoryInUse.
    """
    data_dir = data_dir.expanduser().resolve()
    # Said by a library of Postgres's wheel, for want of a login session; it finds another folder.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    with EmbeddedDatabase(data_dir) as database:
        os.environ.update(
            DATABASE_URL=database.url, BROKER_URL="memory://localhost/", TOKENMILL_DATA_DIR=str(data_dir)
        )
        os.environ.pop("REDIS_URL", None)
        _have_receipt_key(data_dir)
        settings.cache_clear()
        migrate.upgrade(database.url)
        try:
            yield
        finally:
            db.engine().dispose()


def _have_receipt_key(data_dir: Path) -> None:
    """An installation without a key for receipts has one of its own."""
    if "TOKENMILL_RECEIPT_KEY" not in os.environ:
        file = data_dir / "receipt-key.pem"
        signing.new_key_file(file)
        os.environ["TOKENMILL_RECEIPT_KEY"] = str(file)


def installation_key(data_dir: Path) -> str:
    """The key of the project "default", the same at every start: an embedded installation has one user."""
    file = data_dir / "api-key"
    if file.exists() and _is_valid(secret := file.read_text().strip()):
        return secret
    project = projects.find_or_create_project("default")
    secret = keys.create_key(project.id, "embedded").secret
    # Created unreadable to others, rather than made so afterwards.
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(secret + "\n")
    return secret


def _is_valid(secret: str) -> bool:
    try:
        keys.authenticate(secret)
    except AuthenticationFailed:
        return False
    return True


def serve(listener: socket.socket, *, on_ready: Callable[[], None], on_stopping: Callable[[], None]) -> None:
    """Serve on a bound socket until told to stop, then drain."""
    running = _Running(on_ready)
    # The process forks now, and a connection must not be shared with a child.
    db.engine().dispose()
    db.engine.cache_clear()
    db.name_process("embedded")
    Server(
        listener,
        {
            "workers": 1,
            "threads": max(_FEWEST_THREADS, settings().web_threads),
            "graceful_timeout": round(settings().drain_grace_seconds) + _STOP_MARGIN_SECONDS,
            "post_worker_init": running.start,
            "worker_exit": running.stop,
        },
        on_stopping=on_stopping,
    ).run()


class _Running:
    """What runs beside the requests, in the process that serves them."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self._background: Background | None = None

    def start(self, worker: DrainingWorker) -> None:
        self._background = start_background()
        threading.Thread(target=self._announce, name="tokenmill-ready", daemon=True).start()

    def stop(self, arbiter: DrainingArbiter, worker: DrainingWorker) -> None:
        if self._background is None:
            return
        self._background.stop()
        recording.close()
        logging.shutdown()
        # This process is a fork: leaving normally would run its parent's exit handlers, Postgres's among
        # them, and wait for threads that have nothing left to do.
        os._exit(0)

    def _announce(self) -> None:
        pause = threading.Event()
        while not readiness.readiness().ready:
            pause.wait(_LOOK_EVERY_SECONDS)
        self._on_ready()


def main(arguments: list[str]) -> None:
    """Serve on an inherited socket, in an environment that :func:`embedded_platform` has prepared."""
    logs.configure()
    serve(socket.socket(fileno=int(arguments[0])), on_ready=_nothing, on_stopping=_nothing)


def _nothing(*_: Any) -> None:
    """Whoever started this process looks for itself."""


if __name__ == "__main__":
    main(sys.argv[1:])

"""Flower on the platform's broker: with a state that outlives it, and a revoke that cancels jobs."""

import asyncio
import signal
from collections.abc import Iterator

import structlog
from flower.options import options
from flower.urls import handlers
from tornado.ioloop import IOLoop

from tasks import db, logs
from tasks.app import app
from tasks.settings import Settings, settings
from web.flower_revoking import RevokeJob

_MOST_TASKS = 10_000
_SAVE_EVERY_MS = 30_000
# Workers have a new name at each start.
_FORGET_WORKERS_AFTER_SECONDS = 86_400

log = structlog.get_logger(__name__)


def main(*, read_only: bool) -> int:
    """Serve until told to stop. Without credentials in the settings, whoever can connect may look."""
    logs.configure()
    db.name_process("flower")
    # The worker's task needs a model, and Flower only its name.
    app.conf.imports = ()
    # Ahead of Flower's own.
    handlers.insert(0, (r"/api/task/revoke/(.+)", RevokeJob))
    if (credentials := settings().flower_credentials()) is not None:
        options.basic_auth = [credentials]
    # Runs first in the loop, after Flower has set its own handler.
    IOLoop.current().add_callback(_end_at_sigterm)
    log.info("flower started", action="flower_started", host=settings().flower_host)
    # Without a name, an environment variable APP would name another.
    arguments = ["--app", "tasks.app", "--quiet", "flower", *_arguments(settings(), read_only=read_only)]
    code: int | None = app.start(arguments)
    return code or 0


def _end_at_sigterm() -> None:
    """End the loop between two callbacks.

    Flower's own handler raises SystemExit wherever the program happens to be, and Python drops an exception
    that is raised in a finalizer: Flower would go on.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, IOLoop.current().stop)


def _arguments(found: Settings, *, read_only: bool) -> Iterator[str]:
    folder = found.data_dir.expanduser().resolve() / "flower"
    folder.mkdir(parents=True, exist_ok=True)
    yield f"--address={found.flower_host}"
    yield f"--port={found.flower_port}"
    yield "--persistent=True"
    yield f"--db={folder / 'state'}"
    yield f"--state-save-interval={_SAVE_EVERY_MS}"
    yield f"--max-tasks={_MOST_TASKS}"
    yield f"--purge-offline-workers={_FORGET_WORKERS_AFTER_SECONDS}"
    yield "--tasks-columns=name,uuid,state,args,result,received,started,runtime,worker"
    # What it logs goes where ours goes, in the same form.
    yield "--logging=none"
    if found.flower_broker_api is not None:
        yield f"--broker-api={found.flower_broker_api.get_secret_value()}"
    if read_only:
        yield "--read-only=True"

"""The worker process: loads its models once, runs jobs until told to stop, leaves in good order."""

import os
import signal
import threading
from typing import Any

import structlog
from celery import signals

from tasks import control_commands, db, logs
from tasks.broker import in_memory
from tasks.metrics import devices, server
from tasks.queue import queue_for
from tasks.runner import JobRunner
from tasks.served_model import ServedModel
from tasks.settings import settings

log = structlog.get_logger(__name__)

_served: dict[str, ServedModel] = {}


def runner(queue_name: str) -> JobRunner:
    """The runner of the jobs that come by a queue; there is one once its worker has begun."""
    try:
        return _served[queue_name].runner
    except KeyError:
        raise RuntimeError(f"this worker serves no model by the queue {queue_name}") from None


def drain(grace_seconds: float) -> None:
    """Let jobs finish for a while, then hand the rest back; no new ones are claimed."""
    threads = [
        threading.Thread(target=served.runner.drain, args=(grace_seconds,), name="tokenmill-drain")
        for served in _served.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def close() -> None:
    """Leave: what has ended is written, and the models are gone."""
    while _served:
        _, served = _served.popitem()
        served.close()


@signals.setup_logging.connect
def _on_setup_logging(**_: Any) -> None:
    logs.configure()


@signals.worker_init.connect
def _on_worker_init(sender: Any, **_: Any) -> None:
    """Load the models of the worker's queues and register: before the first message is taken."""
    logs.configure()
    if not in_memory():
        db.name_process("worker")
    devices.watch()
    server.start()
    control_commands.register()
    consumed = {queue.name for queue in sender.app.conf.task_queues}
    for spec in settings().model_catalog():
        name = queue_for(spec.name).name
        if name in consumed:
            _served[name] = ServedModel(spec, _die, node=sender.hostname)


@signals.worker_shutting_down.connect
def _on_shutting_down(**_: Any) -> None:
    """Celery waits for its task threads without limit; handing their jobs back lets them return."""
    threading.Thread(target=drain, args=(settings().drain_grace_seconds,), name="tokenmill-drains").start()


@signals.worker_shutdown.connect
def _on_shutdown(**_: Any) -> None:
    drain(grace_seconds=0)
    close()


def _die(error: BaseException) -> None:
    """An engine that can't go on takes the process with it, so that its jobs move elsewhere.

    At once, before the engine ends its requests: an ending that were still written would fail jobs
    that another worker can run. The signal waits for no thread, stuck or not.
    """
    try:
        log.critical("engine can't go on", action="engine_fatal", error=repr(error))
    finally:
        os.kill(os.getpid(), signal.SIGKILL)

"""The scheduler process: Celery beat's timetable, carried out right here.

Sending maintenance through the broker would stop it exactly when it is needed most: expiries and dead
workers have to be seen to while RabbitMQ is down, too. So the entries of ``beat_schedule`` run in this
process's threads, and an entry whose last run goes on is skipped.
"""

import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from types import FrameType
from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler, Service

from tasks import db, logs, maintenance
from tasks.app import app
from tasks.errors import BrokerUnavailable, DatabaseUnavailable, MailNotSent
from tasks.metrics import exposition, server
from tasks.metrics.maintenance import Outcome, count_run
from tasks.metrics.platform import PlatformCollector
from tasks.tracing import recording

log = structlog.get_logger(__name__)

_platform = PlatformCollector()


class InProcessScheduler(Scheduler):
    """Celery's scheduler, except that a due entry runs in a thread instead of becoming a message."""

    # Celery's own connects to the broker before every entry, and waits until there is one.
    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        exposition.add(_platform)
        self._threads = ThreadPoolExecutor(thread_name_prefix="tokenmill-maintenance")
        self._running: dict[str, Future[None]] = {}
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """The timetable as configured; Celery's own clean-up of results has nothing to do here."""
        self.merge_inplace(dict(self.app.conf.beat_schedule))

    def schedules_equal(self, *_: object) -> bool:
        """It never changes, and comparing all of it at every tick would cost more than the tick."""
        return True

    def apply_async(self, entry: ScheduleEntry, **_: Any) -> None:
        last = self._running.get(entry.name)
        if last is None or last.done():
            self._running[entry.name] = self._threads.submit(run_entry, entry.task)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        exposition.remove(_platform)
        super().close()


def run_entry(task: str) -> None:
    """Run one maintenance task now; an outage or a fault is logged and the next round tries again."""
    action = task.removeprefix(f"{maintenance.__name__}.")
    started, outcome = monotonic(), Outcome.OK
    try:
        done = app.tasks[task].run()
    except (BrokerUnavailable, DatabaseUnavailable, MailNotSent) as error:
        outcome = Outcome.DEFERRED
        log.warning("maintenance deferred", action=action, error=error.message)
    except Exception:
        outcome = Outcome.FAILED
        log.exception("maintenance failed", action=action)
    else:
        if done:
            log.info("maintenance done", action=action, rows=done)
    count_run(action, outcome, monotonic() - started)


class SchedulerThread:
    """The scheduler inside another process, for the embedded platform."""

    def __init__(self) -> None:
        self._service = Service(app, scheduler_cls=InProcessScheduler)
        self._thread = threading.Thread(target=self._service.start, name="tokenmill-scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._service.stop(wait=True)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    logs.configure()
    db.name_process("scheduler")
    server.start()
    recording.prepare("scheduler")
    service = Service(app, scheduler_cls=InProcessScheduler)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("scheduler started", action="scheduler_started", entries=len(app.conf.beat_schedule))
    service.start()
    return 0

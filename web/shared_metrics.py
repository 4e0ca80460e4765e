"""Metrics of a server with several processes: whichever is asked tells of all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from tasks.metrics import instruments


@contextmanager
def shared_metrics() -> Iterator[dict[str, Any]]:
    """What a server inside is to be told, so that the processes it forks count together."""
    folder = Path(tempfile.mkdtemp(prefix="tokenmill-metrics-"))
    owner = os.getpid()
    instruments.share(folder)
    try:
        yield {"child_exit": _forget}
    finally:
        # A process that was forked inside comes by here as well when it ends.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def _forget(arbiter: Arbiter, worker: Worker) -> None:
    instruments.forget_process(worker.pid)

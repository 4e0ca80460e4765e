"""A worker whose engine does what the test says, in the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.planning import find_model, renderer_of
from tasks.runner import JobRunner
from tasks.text_engine import TextEngine
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.scripted_engine import ScriptedEngine, ScriptedGeneration


class HandWorker:
    """Runs the jobs that it is given."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        identity = WorkerIdentity(model=MODEL, quantization="fp32", slots=4)
        self.runner = JobRunner(TextEngine(self.engine), identity)

    def take(self, job_id: str) -> ScriptedGeneration:
        threading.Thread(target=self.runner.run, args=(job_id,)).start()
        assert self.engine.submitted.acquire(timeout=10)
        return self.engine.generations[-1]


@contextmanager
def working() -> Iterator[HandWorker]:
    worker = HandWorker()
    worker.runner.start()
    try:
        yield worker
    finally:
        worker.runner.drain(0)
        worker.runner.close()


def ids(text: str) -> list[int]:
    """The tokens of a text."""
    return renderer_of(find_model(MODEL)).completion(text)

"""Batches as tests make them, and a worker that answers their lines."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from tasks import batch_ending, batch_validation, feeder, lost_jobs
from tasks.batch import BatchRecord
from tasks.batch_plan import BatchPlan
from tasks.batches import create_batch, get_batch
from tasks.db import transaction
from tasks.keys import Principal
from tasks.plan import Endpoint
from tasks.runner import JobRunner
from tasks.text_engine import TextEngine
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.publications import Publications
from tests.integration.tasks.scripted_engine import ScriptedEngine, ScriptedGeneration
from tests.integration.tasks.stored_files import put_file


def line(number: int, *, url: str = Endpoint.COMPLETIONS, custom_id: str | None = None, **body: Any) -> bytes:
    """A line that asks for a completion; keyword arguments change its body."""
    asked = {"model": MODEL, "prompt": f"Number {number} is", "max_tokens": 4} | body
    return _dump({"custom_id": custom_id or f"line-{number}", "method": "POST", "url": url, "body": asked})


def lines(count: int, **body: Any) -> list[bytes]:
    return [line(number, **body) for number in range(1, count + 1)]


def put_batch(principal: Principal, content: Sequence[bytes], **wanted: Any) -> BatchRecord:
    """A batch that waits to be validated."""
    file = put_file(principal.project_id, content)
    plan = {"endpoint": Endpoint.COMPLETIONS, "input_file_id": file.id} | wanted
    return create_batch(principal, BatchPlan(**plan))


def begin_batch(principal: Principal, content: Sequence[bytes], **wanted: Any) -> BatchRecord:
    """A batch that has been validated."""
    batch = put_batch(principal, content, **wanted)
    assert batch_validation.validate_waiting() == 1
    return again(batch)


def again(batch: BatchRecord) -> BatchRecord:
    return get_batch(batch.project_id, batch.id)


def one(query: str, **values: object) -> Any:
    """The one value that a query finds."""
    with transaction() as connection:
        return connection.execute(text(query), values).scalar_one()


def change(statement: str, **values: object) -> int:
    with transaction() as connection:
        return connection.execute(text(statement), values).rowcount


def assert_settled(batch: BatchRecord) -> None:
    """The batch, its lines, its holds, the ledger and the spend say the same (I4)."""
    batch = again(batch)
    assert batch.unfinished == 0
    with transaction() as connection:
        lines = connection.execute(_LINES, {"batch": batch.id}).one()
        charges = connection.execute(_CHARGES, {"batch": batch.id}).one()
    assert tuple(lines) == (0, batch.completed, 0)
    assert tuple(charges) == (batch.cost_usd, batch.input_tokens, batch.output_tokens)
    held = "SELECT held_usd FROM spend WHERE project_id = :project"
    assert one(held, project=batch.project_id) == Decimal(0)


_LINES = text("""
    SELECT count(*) FILTER (WHERE ended_at IS NULL), count(*) FILTER (WHERE status = 'completed'),
        (SELECT count(*) FROM holds JOIN jobs ON jobs.id = job_id WHERE batch_id = :batch)
    FROM jobs WHERE batch_id = :batch
""")
_CHARGES = text("""
    SELECT coalesce(sum(entries.amount_usd), 0), coalesce(sum(entries.prompt_tokens), 0),
        coalesce(sum(entries.completion_tokens), 0)
    FROM ledger_entries AS entries JOIN jobs ON jobs.id = entries.job_id WHERE batch_id = :batch
""")


class BatchWorker:
    """A worker of this process that takes every slice that is fed."""

    def __init__(self, publications: Publications, on_submit: Callable[[ScriptedGeneration], None]) -> None:
        self.engine = ScriptedEngine(on_submit)
        self.identity = WorkerIdentity(model=MODEL, quantization="fp32", slots=4)
        self.runner = JobRunner(TextEngine(self.engine), self.identity)
        self._publications = publications

    def take_all(self) -> int:
        """Feed, and start what was fed; returns how many lines."""
        feeder.feed()
        return sum(self.runner.run_slice(slice_id) for slice_id, _ in self._publications.take())

    def run_to_end(self, batch: BatchRecord) -> BatchRecord:
        """Until nothing is left to do."""
        for _ in range(1000):
            taken = self.take_all()
            lost_jobs.expire()
            batch_ending.end_due()
            self.land()
            if not taken and again(batch).status.ended:
                return again(batch)
        raise AssertionError(f"the batch does not end: {again(batch)}")

    def land(self) -> None:
        """Wait until the endings of what has ended are written."""
        for flight in self.runner._flights.all():
            flight.landed.wait(10)


def answer(generation: ScriptedGeneration) -> None:
    """What most lines get: three tokens at once."""
    generation.generate(11, 12, 13)
    generation.end()


@contextmanager
def batch_worker(
    publications: Publications, on_submit: Callable[[ScriptedGeneration], None] = answer
) -> Iterator[BatchWorker]:
    worker = BatchWorker(publications, on_submit)
    worker.runner.start()
    try:
        yield worker
    finally:
        worker.runner.drain(0)
        worker.runner.close()


def _dump(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"

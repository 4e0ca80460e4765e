"""Batches on a platform of processes with a model so small that its lines take next to no time."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks import keys, projects
from tasks.batch import BatchRecord
from tasks.batch_plan import BatchPlan
from tasks.batches import create_batch, get_batch
from tasks.keys import Principal
from tasks.plan import Endpoint
from tests.integration.inference.tiny_model import save_tiniest
from tests.integration.processes.conftest import QUICK, Books
from tests.integration.processes.same_settings import same_settings
from tests.integration.tasks.stored_files import put_file
from tests.services.platform import Platform

MODEL = "tiny"


class BatchPlatform(Platform):
    """The platform, and what this process asks of its database itself."""

    principal: Principal
    books: Books

    def put(self, lines: Sequence[bytes], **wanted: object) -> BatchRecord:
        """A batch of these lines, as an upload and a create would leave it."""
        file = put_file(self.principal.project_id, lines)
        asked = {"endpoint": Endpoint.COMPLETIONS, "input_file_id": file.id} | wanted
        return create_batch(self.principal, BatchPlan(**asked))  # type: ignore[arg-type]

    def batch(self, batch_id: str) -> BatchRecord:
        return get_batch(self.principal.project_id, batch_id)

    def wait_for_lines(self, batch_id: str, completed: int, seconds: float = 90) -> BatchRecord:
        """Until so many have an answer."""
        until = time.monotonic() + seconds
        while (batch := self.batch(batch_id)).completed < completed:
            assert not batch.status.ended, batch
            assert time.monotonic() < until, batch
            time.sleep(0.02)
        return batch

    def wait_for_end(self, batch_id: str, seconds: float = 120) -> BatchRecord:
        until = time.monotonic() + seconds
        while not (batch := self.batch(batch_id)).status.ended:
            assert time.monotonic() < until, batch
            time.sleep(0.05)
        return batch

    def assert_agrees(self, batch: BatchRecord) -> None:
        """Counts, rows, usage and ledger say the same, and each line was charged once at most (I3, I4)."""
        self.books.assert_settled()
        assert batch.unfinished == 0
        rows = "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM jobs WHERE batch_id = %s"
        assert self.books.row(rows, batch.id) == (batch.total, batch.completed)
        charged = (
            "SELECT count(*), sum(amount_usd), sum(entries.prompt_tokens), sum(entries.completion_tokens) "
            "FROM ledger_entries AS entries JOIN jobs ON jobs.id = job_id WHERE batch_id = %s"
        )
        expected = (batch.completed, batch.cost_usd, batch.input_tokens, batch.output_tokens)
        assert self.books.row(charged, batch.id) == expected
        positions = (
            "SELECT count(DISTINCT output_position), max(output_position) FROM jobs WHERE batch_id = %s"
        )
        assert self.books.row(positions, batch.id) == (batch.total, batch.total)


def lines(count: int, max_tokens: int = 64) -> list[bytes]:
    return [line(number, f"Line {number} of many", max_tokens) for number in range(1, count + 1)]


def line(number: int, prompt: str, max_tokens: int) -> bytes:
    body = {"model": MODEL, "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": True, "seed": number}
    asked = {"custom_id": f"line-{number}", "method": "POST", "url": Endpoint.COMPLETIONS, "body": body}
    return json.dumps(asked).encode() + b"\n"


@contextmanager
def batch_platform(
    folder: Path, database_url: str, broker_url: str, prefix: str, **settings_changed: object
) -> Iterator[BatchPlatform]:
    """No process yet; what this process does itself, it does with the same settings."""
    catalog = _write_catalog(folder)
    changed = QUICK | {
        "catalog": catalog,
        "data_dir": folder / "data",
        "worker_slots": 16,
        "republish_after_seconds": 4,
        "queue_prefix": prefix,
        **settings_changed,
    }
    with (
        BatchPlatform(folder, database_url=database_url, broker_url=broker_url, **changed) as platform,
        same_settings(platform.environment),
    ):
        project = projects.create_project("batches")
        secret = keys.create_key(project.id, "batches").secret
        platform.use_key(secret)
        platform.principal = keys.authenticate(secret)
        platform.books = Books(database_url)
        yield platform


def _write_catalog(folder: Path) -> Path:
    model = folder / "model"
    save_tiniest(model)
    catalog = folder / "catalog.toml"
    catalog.write_text(
        f'[models.{MODEL}]\nsource = "{model}"\nquantization = "fp32"\ncontext_length = 512\n'
        "prices = { input_usd = 1, cached_input_usd = 0.5, output_usd = 2 }\n"
    )
    return catalog

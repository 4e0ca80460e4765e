"""How fast lines of a batch become jobs: planning alone, and with the database.

    python -m tests.bench.batch_validation [--lines 50000]

Prints lines a second and the most memory that it took, on a Postgres of its own with fsync.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.migrate import upgrade
from tests.services.postgres import PostgresServer

MODEL = "smollm2-135m-instruct"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name, _database(Path(name)):
        measure(options.lines, options.rounds)


def measure(count: int, rounds: int) -> None:
    """Imported late: settings are read once."""
    from tasks import batch_validation, keys, projects
    from tasks.batch_lines import LineReader, PlannedLine
    from tasks.batch_plan import BatchPlan
    from tasks.batches import create_batch, get_batch
    from tasks.files import NewFile, create_file
    from tasks.incoming import receive_file
    from tasks.plan import Endpoint

    project = projects.create_project("bench")
    principal = keys.authenticate(keys.create_key(project.id, "bench").secret)
    content = b"".join(chat_lines(count))
    # The tokenizer is loaded once in a process, so it is no part of the rate.
    list(LineReader(Endpoint.CHAT_COMPLETIONS, project.id).read(chat_lines(1)))
    for _ in range(rounds):
        started = time.monotonic()
        reader = LineReader(Endpoint.CHAT_COMPLETIONS, project.id)
        assert all(isinstance(line, PlannedLine) for line in reader.read([content]))
        _report("planning alone", count, time.monotonic() - started)

        with receive_file("file") as incoming:
            incoming.take(content)
        new = NewFile(filename="bench.jsonl", purpose="batch", expires_in_seconds=86_400)
        file = create_file(project.id, new, incoming)
        before = _most_memory()
        batch = create_batch(principal, BatchPlan(endpoint=Endpoint.CHAT_COMPLETIONS, input_file_id=file.id))
        started = time.monotonic()
        batch_validation.validate_waiting()
        _report("validated and admitted", count, time.monotonic() - started)
        batch = get_batch(project.id, batch.id)
        assert (batch.status, batch.unfinished) == ("in_progress", count), batch
        print(f"  memory grew by {(_most_memory() - before) / 1024:.0f} MiB")


def chat_lines(count: int) -> Iterator[bytes]:
    """Short chats, each its own."""
    for number in range(1, count + 1):
        body = {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "You answer in a few words."},
                {"role": "user", "content": f"What is the opposite of number {number}?"},
            ],
            "max_tokens": 8,
            "temperature": 0,
        }
        line = {"custom_id": f"request-{number}", "method": "POST", "url": "/v1/chat/completions"}
        yield json.dumps(line | {"body": body}).encode() + b"\n"


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    folder.chmod(0o755)
    postgres = PostgresServer(folder / "postgres", durable=True)
    postgres.start()
    try:
        url = postgres.create_database("bench")
        upgrade(url)
        os.environ |= {"DATABASE_URL": url, "BROKER_URL": "memory://"}
        os.environ["TOKENMILL_DATA_DIR"] = str(folder / "data")
        yield
    finally:
        postgres.stop()


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _report(what: str, count: int, seconds: float) -> None:
    print(f"{what}: {count} lines in {seconds:.1f} s, {count / seconds:.0f} a second", file=sys.stdout)


if __name__ == "__main__":
    main()

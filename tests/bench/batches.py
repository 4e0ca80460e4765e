"""A batch from upload to completed through the whole platform, and whether everything agrees at the end.

    python -m tests.bench.batches [--lines 50000]

Short prompts, 8 new tokens, on a model of random weights so small that the platform is what counts.
Beside it the engine called directly with the same prompts, in the same run.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.engine import Engine
from inference.loader import load_model
from inference.request import GenerationRequest, SamplingParams
from tasks.batch import BatchRecord, BatchStatus
from tasks.batch_results import finished_lines
from tasks.migrate import upgrade
from tasks.planning import find_model, renderer_of
from tasks.settings import Settings, settings
from tests.integration.processes.batch_platform import MODEL, BatchPlatform, batch_platform, line
from tests.services import rabbitmq
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer

NEW_TOKENS = 8
MOST_DIRECT = 5000
QUEUE_PREFIX = "bench-batches"
# Tests are quicker about these, which costs.
AS_BY_DEFAULT = {
    name: Settings.model_fields[name].default
    for name in ("checkpoint_interval_seconds", "renew_interval_seconds", "lease_seconds")
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--slots", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name, _platform(Path(name)) as platform:
        direct = measure_direct(min(options.lines, MOST_DIRECT), options.slots)
        through = measure_platform(platform, options.lines, options.slots)
        direct_again = measure_direct(min(options.lines, MOST_DIRECT), options.slots)
    print(f"engine called directly: {direct:.0f} and {direct_again:.0f} tokens a second")
    print(f"through the platform: {through:.0f}, ratio {through * 2 / (direct + direct_again):.2f}")


def measure_platform(platform: BatchPlatform, count: int, slots: int) -> float:
    """Output tokens a second from `in_progress` to `completed`."""
    platform.start_scheduler(worker_slots=slots)
    platform.start_worker(worker_slots=slots)
    started = time.monotonic()
    batch = platform.put([line(number, prompt(number), NEW_TOKENS) for number in range(1, count + 1)])
    print(f"uploaded and created in {time.monotonic() - started:.1f} s")
    while platform.batch(batch.id).status is BatchStatus.VALIDATING:
        time.sleep(0.1)
    print(f"validated after {time.monotonic() - started:.1f} s")
    ended = platform.wait_for_end(batch.id, seconds=3600)
    print(f"completed after {time.monotonic() - started:.1f} s")
    check(platform, ended, count)
    return ended.output_tokens / _seconds(ended)


def check(platform: BatchPlatform, batch: BatchRecord, count: int) -> None:
    """Output lines, counts, usage and ledger agree to the token (I4)."""
    assert (batch.status, batch.total, batch.completed) == (BatchStatus.COMPLETED, count, count), batch
    platform.assert_agrees(batch)
    lines = prompt_tokens = output_tokens = 0
    for finished in finished_lines(batch, "output"):
        assert finished.result is not None
        lines += 1
        prompt_tokens += finished.result.job.billed_prompt_tokens or 0
        output_tokens += finished.result.job.completion_tokens or 0
    assert (lines, prompt_tokens, output_tokens) == (count, batch.input_tokens, batch.output_tokens)
    assert output_tokens == count * NEW_TOKENS
    print(f"{lines} lines, {prompt_tokens} + {output_tokens} tokens, {batch.cost_usd:f} USD: all agree")


def measure_direct(count: int, slots: int) -> float:
    """Output tokens a second of the engine alone, in this process."""
    spec = find_model(MODEL)
    renderer = renderer_of(spec)
    engine = Engine(
        load_model(spec, settings().model_cache_dir),
        slots=slots,
        max_batch_tokens=settings().worker_batch_tokens,
    )
    engine.start()
    requests = [
        GenerationRequest(
            request_id=str(number),
            prompt_token_ids=tuple(renderer.completion(prompt(number))),
            params=SamplingParams(max_tokens=NEW_TOKENS, ignore_eos=True, seed=number),
        )
        for number in range(1, count + 1)
    ]
    try:
        started = time.monotonic()
        running = [engine.submit(request) for request in requests]
        for one in running:
            one.wait()
        return count * NEW_TOKENS / (time.monotonic() - started)
    finally:
        engine.stop()


def prompt(number: int) -> str:
    return f"Line {number} of many"


def _seconds(batch: BatchRecord) -> float:
    assert batch.completed_at is not None
    assert batch.in_progress_at is not None
    return (batch.completed_at - batch.in_progress_at).total_seconds()


@contextmanager
def _platform(folder: Path) -> Iterator[BatchPlatform]:
    """On a Postgres of its own with fsync, and a running RabbitMQ or one of its own."""
    folder.chmod(0o755)
    postgres = PostgresServer(folder / "postgres", durable=True)
    postgres.start()
    url = postgres.create_database("bench")
    upgrade(url)
    broker_url = rabbitmq.running_url(None)
    broker = None
    if broker_url is None:
        broker = RabbitMQServer(folder / "rabbitmq")
        broker.start()
        broker_url = broker.url
    try:
        prefix = f"{QUEUE_PREFIX}-{int(time.time())}"
        with batch_platform(folder, url, broker_url, prefix, **AS_BY_DEFAULT) as platform:
            yield platform
    finally:
        postgres.stop()
        if broker is not None:
            broker.stop()


if __name__ == "__main__":
    main()

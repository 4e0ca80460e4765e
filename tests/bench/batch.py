"""A batch on the packaged model beside the engine called directly, and chats in front of a full batch.

    python -m tests.bench.batch [--lines 1000]

One run: output tokens a second of a batch of short chats, from `in_progress` to `completed`, as a ratio to
the engine with the same prompts, all at once; how fast the lines were validated; and the time to the
first token of one chat at a time, streamed with the official SDK, with nothing else to do and while a
batch keeps the engine full. `tests.bench.batches` is for many lines on a model so small that only the
platform counts.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from openai import OpenAI
from openai.types import Batch

from tests.bench.chat_rounds import Chats, Run, direct_engine, rounds
from tests.bench.whole_platform import MODEL, whole_platform
from tests.services.platform import Platform

NEW_TOKENS = 8
INTERACTIVE_TOKENS = 8
FULL_TOKENS = 64
POLL_SECONDS = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--chats", type=int, default=8, help="to measure first tokens with")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name,
        whole_platform(Path(name)) as platform,
    ):
        chats = [chat(number) for number in range(options.lines)]
        with direct_engine(platform) as direct:
            alone = direct(chats, NEW_TOKENS).tokens_per_second
        platform.start_web()
        platform.start_scheduler()
        platform.start_worker()
        client = OpenAI(base_url=f"{platform.base_url}/v1", api_key=platform.headers["Authorization"][7:])
        report_batch(run_batch(client, chats), alone, options.lines)
        report_interactive(platform, client, options.chats)


def chat(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Name something that comes {number} at a time."}]


def run_batch(client: OpenAI, chats: Chats) -> Batch:
    """From its upload to its end."""
    batch = start_batch(client, chats, NEW_TOKENS)
    while batch.status in ("validating", "in_progress", "finalizing"):
        time.sleep(POLL_SECONDS)
        batch = client.batches.retrieve(batch.id)
    return batch


def start_batch(client: OpenAI, chats: Chats, max_tokens: int) -> Batch:
    lines = b"".join(_line(number, messages, max_tokens) for number, messages in enumerate(chats))
    file = client.files.create(file=("bench.jsonl", lines), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def report_batch(batch: Batch, alone: float, lines: int) -> None:
    counts, usage = batch.request_counts, batch.usage
    if batch.status != "completed" or counts is None or usage is None or counts.completed != lines:
        sys.exit(f"the batch did not complete: {batch.status}, {counts}")
    # Whole seconds are all that the batch object tells.
    validating = max((batch.in_progress_at or 0) - batch.created_at, 1)
    running = max((batch.completed_at or 0) - (batch.in_progress_at or 0), 1)
    rate = usage.output_tokens / running
    print(f"validated {lines} lines in {validating} s")
    print(f"engine called directly: {alone:.0f} tokens a second")
    print(f"{lines} lines through the platform: {rate:.0f} tokens a second, ratio {rate / alone:.2f}")


def report_interactive(platform: Platform, client: OpenAI, chats: int) -> None:
    address = (platform.base_url, platform.headers["Authorization"][7:])
    with ExitStack() as stack:
        _, run = stack.enter_context(rounds(platform, "tests.bench.sdk_chats", *address))
        first_tokens(run, 2)
        idle = first_tokens(run, chats)
        full = start_batch(client, [chat(number) for number in range(2000)], FULL_TOKENS)
        _wait_until_running(client, full)
        behind = first_tokens(run, chats)
        client.batches.cancel(full.id)
    for name, times in (("nothing else to do", idle), ("a full batch", behind)):
        print(f"first token with {name}: median {statistics.median(times):.0f} ms, most {max(times):.0f} ms")


def first_tokens(run: Run, count: int) -> list[float]:
    """Milliseconds to the first token of one chat after the other."""
    return [run([chat(10_000 + number)], INTERACTIVE_TOKENS).first_token_ms for number in range(count)]


def _wait_until_running(client: OpenAI, batch: Batch) -> None:
    while (found := client.batches.retrieve(batch.id)).request_counts is None or not (
        found.request_counts.completed
    ):
        if found.status not in ("validating", "in_progress"):
            sys.exit(f"the batch ended before it was measured: {found.status}")
        time.sleep(POLL_SECONDS)


def _line(number: int, messages: Any, max_tokens: int) -> bytes:
    body = {"model": MODEL, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
    line = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode() + b"\n"


if __name__ == "__main__":
    main()

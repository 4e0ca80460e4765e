"""What the platform costs on top of what it is made of, as ratios within one run.

    python -m tests.bench.overhead

Accepting: jobs a second that `POST /v1/jobs` accepts (gunicorn, two processes, real Postgres with
fsync, real RabbitMQ) beside two bare loops that insert the same row and publish the same message
with confirms. Generating: output tokens a second of 64 chats through the whole platform beside the
engine called directly with the same prompts.
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
from psycopg2.extras import RealDictCursor

from tests.bench import bare_loop, post_load
from tests.bench.chat_rounds import direct_engine
from tests.bench.whole_platform import CHATS, MODEL, report, whole_platform
from tests.services.platform import Platform

# What a row takes from the admission, copied for the bare loop's own inserts.
ROW_COLUMNS = (
    "project_id, api_key_id, request_id, type, model, request, metadata, prompt_token_ids, prompt_tokens, "
    "max_tokens, seed, price_input_usd, price_cached_input_usd, price_output_usd, expires_at"
)


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name,
        whole_platform(Path(name)) as platform,
    ):
        if "accept" in options.parts:
            measure_accepting(platform, options.rounds, options.seconds, options.connections)
        if "generate" in options.parts:
            measure_generating(platform, options.rounds, options.max_tokens)


def measure_accepting(platform: Platform, rounds: int, seconds: float, connections: int) -> None:
    """Alternate between the bare loops and the API, so that a slow minute of the machine slows both."""
    web = platform.start_web()
    database_url, broker_url = platform.environment["DATABASE_URL"], platform.environment["BROKER_URL"]
    body = {"type": "chat", "model": MODEL, "messages": CHATS[0], "max_tokens": 64, "temperature": 0}
    key = platform.headers["Authorization"].removeprefix("Bearer ")
    columns = _row_of(database_url, platform.submit(**body)["id"])
    encoded = json.dumps(body).encode()
    post_load.run(platform.base_url, "/v1/jobs", encoded, key, connections, 2)
    bare, api = [], []
    for _ in range(rounds):
        bare.append(bare_loop.run(database_url, broker_url, columns, 2, seconds))
        api.append(post_load.run(platform.base_url, "/v1/jobs", encoded, key, connections, seconds))
        _await_publishing(database_url)
    web.stop()
    report(
        "accepting", "jobs a second", "two bare loops", bare, f"POST /v1/jobs, {connections} connections", api
    )


def measure_generating(platform: Platform, rounds: int, max_tokens: int) -> None:
    """Alternate between the engine alone and the platform around the same engine."""
    _clear_queue(platform)
    platform.start_web()
    platform.start_scheduler()
    with direct_engine(platform) as direct:
        platform.start_worker()
        direct(CHATS, max_tokens)
        _through_platform(platform, max_tokens)
        alone, whole = [], []
        for _ in range(rounds):
            alone.append(direct(CHATS, max_tokens).tokens_per_second)
            whole.append(_through_platform(platform, max_tokens))
    report("generating", "tokens a second", "engine called directly", alone, "through the platform", whole)


def _through_platform(platform: Platform, max_tokens: int) -> float:
    started = time.monotonic()

    def run(messages: list[dict[str, str]]) -> int:
        job = platform.submit(
            type="chat", model=MODEL, messages=messages, max_tokens=max_tokens, temperature=0
        )
        while job["status"] in ("queued", "in_progress"):
            job = platform.request("GET", f"/v1/jobs/{job['id']}?wait=60").json()
        tokens: int = job["usage"]["completion_tokens"]
        return tokens

    with ThreadPoolExecutor(len(CHATS)) as clients:
        tokens = sum(clients.map(run, CHATS))
    return tokens / (time.monotonic() - started)


def _row_of(database_url: str, job_id: str) -> dict[str, object]:
    with (
        psycopg2.connect(database_url) as connection,
        connection.cursor(cursor_factory=RealDictCursor) as cursor,
    ):
        cursor.execute(f"SELECT {ROW_COLUMNS} FROM jobs WHERE id = %s", [job_id])  # noqa: S608 (a constant)
        row = cursor.fetchone()
        assert row is not None
        return {**row, "request_id": "bare"}


def _await_publishing(database_url: str) -> None:
    """What was accepted must also be published before the next round, or the API would be let off work."""
    with psycopg2.connect(database_url) as connection, connection.cursor() as cursor:
        started, left = time.monotonic(), True
        while left and time.monotonic() - started < 60:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM jobs WHERE published_at IS NULL AND request_id <> 'bare')"
            )
            (left,) = cursor.fetchone() or (False,)
            connection.commit()
            time.sleep(0.05)
    print(f"  published {time.monotonic() - started:.2f} s after the last answer")


def _clear_queue(platform: Platform) -> None:
    """The worker must not run what the first part has left in the queue."""
    platform.environment["TOKENMILL_QUEUE_PREFIX"] += "-generate"
    with psycopg2.connect(platform.environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM holds")
        cursor.execute("DELETE FROM jobs")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each, alternating (default 5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a round of accepting (default 5)")
    parser.add_argument("--connections", type=int, default=16, help="clients posting at once (default 16)")
    parser.add_argument("--max-tokens", type=int, default=64, help="tokens per chat (default 64)")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("accept", "generate"),
        default=("accept", "generate"),
        help="what to measure",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

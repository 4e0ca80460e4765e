"""How long usage and costs take to read over a million jobs, and what counting them adds to a charge.

python -m tests.bench.usage [--jobs 1000000]
"""

import argparse
import logging
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openai import OpenAI
from sqlalchemy import text
from werkzeug.serving import make_server

from tasks import admin_keys, logs, migrate
from tasks.actor import OPERATOR
from tasks.db import transaction
from tests.services.postgres import PostgresServer
from web.app import create_app

PROJECTS, KEYS, MODELS, DAYS = 20, 5, 4, 30
TIMES = 20
AT_ONCE = 100_000

PEOPLE = (
    "INSERT INTO models (name, source, quantization, context_length)"
    " SELECT 'model-' || n, 'packaged:m', 'fp32', 2048 FROM generate_series(0, :models - 1) AS n",
    "INSERT INTO projects (id, name) SELECT 'proj_' || n, n FROM generate_series(0, :projects - 1) AS n",
    "INSERT INTO api_keys (id, project_id, name, prefix, secret_sha256)"
    " SELECT 'key_' || n, 'proj_' || n / :keys, n, n, '' FROM generate_series(0, :projects * :keys - 1) AS n",
)
JOBS = """
    INSERT INTO jobs (id, project_id, api_key_id, type, model, status, request, prompt_token_ids,
        prompt_tokens, max_tokens, seed, price_input_usd, price_cached_input_usd, price_output_usd,
        created_at, expires_at, ended_at, billed_prompt_tokens, cached_tokens, completion_tokens, cost_usd)
    SELECT 'job_' || lpad(n::text, 8, '0'), 'proj_' || n % :keys / :of_project, 'key_' || n % :keys,
        CASE WHEN n % 10 = 0 THEN 'embedding' ELSE 'chat' END, 'model-' || n % 7 % :models, 'completed', '{}',
        '{1,2,3,4,5,6,7,8}', 8, 64, n, 0.02, 0.01, 0.08, moment, moment, moment, 8, 2, 32, 0.0000027
    FROM generate_series(:first, :last) AS n,
        LATERAL (SELECT now() - interval '1 day' * :days * n / :jobs AS moment) AS moments
"""
SUMS = "SELECT (SELECT count(*) FROM usage_hours), (SELECT count(*) FROM usage_days)"
CHARGES = """
    INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd, prompt_tokens,
        cached_tokens, completion_tokens, created_at)
    SELECT 'charge:' || id, project_id, id, 'charge', cost_usd, billed_prompt_tokens, cached_tokens,
        completion_tokens, ended_at
    FROM jobs WHERE id BETWEEN 'job_' || lpad(cast(:first AS text), 8, '0')
        AND 'job_' || lpad(cast(:last AS text), 8, '0')
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder)):
        _fill(jobs)
        with _client() as client:
            _read(client)
        _charge(jobs)


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    folder.chmod(0o755)
    postgres = PostgresServer(folder / "postgres", durable=True)
    postgres.start()
    try:
        url = postgres.create_database("bench")
        migrate.upgrade(url)
        os.environ["DATABASE_URL"] = url
        os.environ["TOKENMILL_DATABASE_STATEMENT_TIMEOUT_SECONDS"] = "600"
        os.environ["TOKENMILL_LOG_LEVEL"] = "ERROR"
        logs.configure()
        logging.getLogger("werkzeug").disabled = True
        yield
    finally:
        postgres.stop()


def _fill(jobs: int) -> None:
    started = time.perf_counter()
    people = {"models": MODELS, "projects": PROJECTS, "keys": KEYS}
    of = {"keys": PROJECTS * KEYS, "of_project": KEYS, "models": MODELS, "days": DAYS, "jobs": jobs}
    with transaction() as connection:
        for statement in PEOPLE:
            connection.execute(text(statement), people)
    for first in range(0, jobs, AT_ONCE):
        part = {"first": first, "last": min(first + AT_ONCE, jobs) - 1}
        with transaction() as connection:
            connection.execute(text(JOBS), of | part)
            connection.execute(text(CHARGES), part)
    with transaction() as connection:
        connection.execute(text("ANALYZE"))
        hours, days = connection.execute(text(SUMS)).one()
    print(
        f"{jobs} jobs in {hours} rows by the hour and {days} by the day, "
        f"written in {time.perf_counter() - started:.0f} s"
    )


@contextmanager
def _client() -> Iterator[OpenAI]:
    _, secret = admin_keys.create_admin_key(OPERATOR, "bench")
    server = make_server("127.0.0.1", 0, create_app(threads=8), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/v1"
    with OpenAI(base_url=url, api_key="none", admin_api_key=secret, max_retries=0) as client:
        yield client
    server.shutdown()
    thread.join()


def _read(client: OpenAI) -> None:
    usage = client.admin.organization.usage
    now = int(time.time())
    month = now - (DAYS - 1) * 86_400
    for name, ask in (
        ("costs, 30 days", lambda: usage.costs(start_time=month, limit=31)),
        (
            "costs, 30 days by project and line item",
            lambda: usage.costs(start_time=month, limit=31, group_by=["project_id", "line_item"]),
        ),
        (
            "completions, 30 days by project, key and model",
            lambda: usage.completions(
                start_time=month, limit=31, group_by=["project_id", "api_key_id", "model"]
            ),
        ),
        (
            "completions, a week by the hour and model",
            lambda: usage.completions(
                start_time=now - 167 * 3600, bucket_width="1h", limit=168, group_by=["model"]
            ),
        ),
        (
            "completions, a day by the minute",
            lambda: usage.completions(start_time=now - 1439 * 60, bucket_width="1m", limit=1440),
        ),
    ):
        _time(name, ask)


def _charge(jobs: int) -> None:
    """As the finisher does: 64 charges in a transaction, of ten keys."""
    query = """
        INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd, prompt_tokens,
            cached_tokens, completion_tokens)
        SELECT 'bench:' || gen_random_uuid(), project_id, id, 'charge', 0.0000027, 8, 2, 32
        FROM jobs WHERE id IN (
            SELECT 'job_' || lpad(cast(:place + n AS text), 8, '0') FROM generate_series(0, 63) AS n
        )
    """
    places = iter(range(0, jobs, 64))

    def charge() -> None:
        with transaction() as connection:
            connection.execute(text(query), {"place": next(places)})

    _time("64 charges, counted", charge)
    with transaction() as connection:
        connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER ledger_is_counted"))
    _time("64 charges, not counted", charge)


def _time(name: str, ask: Callable[[], object]) -> None:
    ask()
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    print(f"{name}: median {statistics.median(seconds) * 1000:.1f} ms, most {max(seconds) * 1000:.1f} ms")


if __name__ == "__main__":
    main()

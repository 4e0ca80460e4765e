"""What a job costs before it is accepted, step by step, beside the bare insert and publish.

    python -m tests.bench.admission [--times 200]

One process, one request at a time, on a real Postgres with fsync, RabbitMQ and Redis. The baseline inserts
the row that admission makes and hands its id to the publisher, and nothing else.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest import mock

from tasks import budgets, job_limits, jobs, keys, known_keys, ledger, logs, migrate, projects, queue
from tasks.admission import planned_values
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.endpoints import plan_of
from tasks.ids import new_id
from tasks.keys import Principal
from tasks.ledger import NewHold, Payer
from tasks.plan import Endpoint, JobPlan
from tasks.price_book import current_prices
from tasks.pricing import hold_amount
from tasks.settings import settings
from tests.bench.whole_platform import CHATS, MODEL
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer
from tests.services.redis import RedisServer
from web.app import create_app

BODY = {"model": MODEL, "messages": CHATS[0], "max_tokens": 64}
HEADERS = {"content-type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    options = parser.parse_args()
    # A line for each request is part of what it costs, but not that a terminal shows it.
    logs.configure()
    with tempfile.TemporaryDirectory(prefix="tokenmill-bench-") as name, _services(Path(name)):
        secret = keys.create_key(projects.create_project("bench").id, "bench").secret
        principal = keys.authenticate(secret)
        _report(_steps(secret, principal), options.times)
        budgets.set_budget(Subject(SubjectKind.PROJECT, principal.project_id), hard_usd=None, soft_usd=None)
        budgets.set_budget(Subject(SubjectKind.KEY, principal.api_key_id), hard_usd=None, soft_usd=None)
        print("with monthly budgets for project and key")
        _report(_steps(secret, principal), options.times)


def _steps(secret: str, principal: Principal) -> dict[str, Callable[[], object]]:
    plan = plan_of(Endpoint.CHAT_COMPLETIONS, principal.project_id, BODY)
    client = create_app(threads=8).test_client()
    job = {"type": "chat", **BODY}

    def unknown_key() -> None:
        known_keys._cache.clear()
        keys.authenticate(secret)

    def limits() -> None:
        with job_limits.counted(principal, plan, new_id("job")):
            pass

    def post() -> None:
        answer = client.post("/v1/jobs", json=job, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 202, answer.text

    return {
        "bare insert and publish": lambda: _insert(principal, plan, hold=False),
        "authenticate, a key seen within the second": lambda: keys.authenticate(secret),
        "authenticate, another key": unknown_key,
        "validate, render and tokenize": lambda: plan_of(
            Endpoint.CHAT_COMPLETIONS, principal.project_id, BODY
        ),
        "limits of tokens": limits,
        "insert, hold and publish": lambda: _insert(principal, plan, hold=True),
        "POST /v1/jobs, all of it": post,
    }


def _insert(principal: Principal, plan: JobPlan, *, hold: bool) -> None:
    prices = current_prices(plan.spec, plan.service_tier)
    job_id = new_id("job")
    values = {
        "id": job_id,
        "project_id": principal.project_id,
        "api_key_id": principal.api_key_id,
        "request_id": None,
        "stream_to": [],
        "price_input_usd": prices.input_usd,
        "price_cached_input_usd": prices.cached_input_usd,
        "price_output_usd": prices.output_usd,
        "expires_in": timedelta(hours=24),
        **planned_values(plan),
    }
    amount = hold_amount(prices, prompt_tokens=plan.prompt_tokens, max_tokens=plan.most_output_tokens)
    with transaction() as connection:
        jobs.create(connection, [values])
        if hold:
            payer = Payer(principal.project_id, principal.api_key_id)
            ledger.hold(connection, [NewHold(job_id, payer, amount)])
    queue.publish_soon(job_id, plan.spec.name)


def _report(steps: dict[str, Callable[[], object]], times: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    # In turns, so that a slow minute of the machine slows all of them.
    for _ in range(times):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    bare = statistics.median(next(iter(seconds.values())))
    for name, found in seconds.items():
        median = statistics.median(found)
        print(f"{name}: median {median * 1000:.2f} ms, {median / bare:.2f} of the bare insert and publish")


@contextmanager
def _services(folder: Path) -> Iterator[None]:
    folder.chmod(0o755)
    postgres = PostgresServer(folder / "postgres", durable=True)
    broker, redis = RabbitMQServer(folder / "rabbitmq"), RedisServer(folder / "redis")
    for server in (postgres, broker, redis):
        server.start()
    url = postgres.create_database("bench")
    migrate.upgrade(url)
    environment = {
        "DATABASE_URL": url,
        "BROKER_URL": broker.url,
        "REDIS_URL": redis.url,
        "TOKENMILL_LOG_LEVEL": "ERROR",
        # Counted, and never reached.
        "TOKENMILL_REQUESTS_PER_MINUTE": "1000000",
        "TOKENMILL_TOKENS_PER_MINUTE": "1000000000",
    }
    try:
        with mock.patch.dict(os.environ, environment):
            settings.cache_clear()
            yield
    finally:
        for server in (redis, broker, postgres):
            server.stop()


if __name__ == "__main__":
    main()

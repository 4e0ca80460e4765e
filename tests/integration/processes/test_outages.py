"""The broker or the database goes away: what was acknowledged is kept, and all recovers by itself."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.migrate import upgrade
from tests.integration.processes.conftest import QUICK, Books, with_key
from tests.services.platform import Platform
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer

pytestmark = pytest.mark.slow

SHORT = {
    "type": "chat",
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 12,
    "temperature": 0,
}


@pytest.fixture
def own_database_url(private_postgres: PostgresServer) -> str:
    url = private_postgres.create_database(f"test_{uuid.uuid4().hex}")
    upgrade(url)
    return url


@pytest.fixture
def fragile(own_database_url: str, private_rabbitmq: RabbitMQServer, tmp_path: Path) -> Iterator[Platform]:
    """A platform on services that its tests may stop."""
    with Platform(
        tmp_path,
        database_url=own_database_url,
        broker_url=private_rabbitmq.url,
        queue_prefix=f"t{uuid.uuid4().hex[:6]}",
        **QUICK,
        # What "auto" comes to on most CPUs, without measuring at every start.
        catalog_overrides='[models.smollm2-135m-instruct]\nquantization = "fp32"',
    ) as platform:
        yield with_key(platform)


def test_broker_stopped_during_submit_delays_jobs_and_loses_none(
    fragile: Platform, own_database_url: str, private_rabbitmq: RabbitMQServer
) -> None:
    fragile.start_web()
    fragile.start_scheduler()
    fragile.start_worker()
    first = fragile.submit(**SHORT)
    fragile.wait_for(first["id"], "completed")

    private_rabbitmq.kill()
    without_broker = [fragile.submit(**SHORT)["id"] for _ in range(5)]
    ready = fragile.request("GET", "/readyz")
    assert ready.status_code == 503
    assert not ready.json()["checks"]["broker"]["ok"]
    assert all(fragile.job(job_id)["status"] == "queued" for job_id in without_broker)

    private_rabbitmq.start()
    for job_id in without_broker:
        job = fragile.wait_for(job_id, "completed")
        assert "Paris" in job["output"]["message"]["content"]
    books = Books(own_database_url)
    assert all(books.charges(job_id) == 1 for job_id in without_broker)
    books.assert_settled()


def test_database_stopped_gives_503_and_everything_recovers_by_itself(
    fragile: Platform, own_database_url: str, private_postgres: PostgresServer
) -> None:
    fragile.start_web()
    fragile.start_scheduler()
    worker = fragile.start_worker()
    running = fragile.submit(
        **SHORT | {"max_tokens": 200, "messages": [{"role": "user", "content": "Tell a story."}]}
    )
    fragile.wait_for(running["id"], "in_progress")

    private_postgres.kill()
    refused = fragile.request("POST", "/v1/jobs", json=SHORT, headers={"Idempotency-Key": "during-outage"})
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "database_unavailable"
    assert int(refused.headers["Retry-After"]) >= 1
    assert fragile.request("GET", f"/v1/jobs/{running['id']}").status_code == 503
    assert fragile.request("GET", "/healthz").status_code == 200
    ready = fragile.request("GET", "/readyz")
    assert ready.status_code == 503
    assert not ready.json()["checks"]["database"]["ok"]
    time.sleep(3)

    private_postgres.start()
    books = Books(own_database_url)
    assert books.row("SELECT count(*) FROM jobs") == (1,), "the refused job was half-written"
    accepted = fragile.request("POST", "/v1/jobs", json=SHORT, headers={"Idempotency-Key": "during-outage"})
    assert accepted.status_code == 202
    assert fragile.wait_for(accepted.json()["id"], "completed")["attempt"] == 1
    ended = fragile.wait_for(running["id"], "completed")
    assert ended["attempt"] == 1, "an outage of the database is not the worker's fault"
    assert worker.running
    assert books.charges(running["id"]) == 1
    books.assert_settled()


def test_fifty_concurrent_identical_posts_make_one_job(fragile: Platform, own_database_url: str) -> None:
    fragile.start_web(web_processes=2)

    def post(_: int) -> tuple[int, str]:
        answer = fragile.request("POST", "/v1/jobs", json=SHORT, headers={"Idempotency-Key": "one"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(post, range(50)))
    assert sorted(status for status, _ in answers) == [200] * 49 + [202]
    assert len({job_id for _, job_id in answers}) == 1
    assert Books(own_database_url).row("SELECT count(*) FROM jobs") == (1,)

"""Whatever dies during a batch: nothing is lost, nothing is billed twice."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.batch import BatchStatus
from tasks.batch_results import finished_lines
from tasks.batches import cancel_batch
from tasks.migrate import upgrade
from tests.integration.processes.batch_platform import MODEL, BatchPlatform, batch_platform, line, lines
from tests.services.fixtures import Broker
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer

# Each starts several processes, one after the other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


@pytest.fixture
def platform(database_url: str, rabbitmq: Broker, tmp_path: Path) -> Iterator[BatchPlatform]:
    prefix = f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}"
    with batch_platform(tmp_path, database_url, rabbitmq.url, prefix) as started:
        yield started


@pytest.fixture(scope="module")
def standing(
    postgres_server: PostgresServer,
    template_database: str,
    rabbitmq: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BatchPlatform]:
    """Web, scheduler and a worker, for tests that leave them as they were."""
    url = postgres_server.create_database(f"test_{uuid.uuid4().hex}", template=template_database)
    prefix = f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}"
    with batch_platform(tmp_path_factory.mktemp("standing"), url, rabbitmq.url, prefix) as started:
        started.start_web()
        started.start_scheduler()
        started.start_worker()
        yield started


def test_worker_killed_during_a_batch_loses_no_line_and_bills_none_twice(platform: BatchPlatform) -> None:
    platform.start_scheduler()
    killed, other = platform.start_workers(2)
    batch = platform.put(lines(600, max_tokens=32))
    platform.wait_for_lines(batch.id, 50)
    killed.kill()
    ended = platform.wait_for_end(batch.id)
    assert other.running
    assert (ended.status, ended.completed, ended.failed) == (BatchStatus.COMPLETED, 600, 0)
    assert ended.output_tokens == 600 * 32
    platform.assert_agrees(ended)


def test_scheduler_killed_during_validation_and_during_the_run_is_replaced(platform: BatchPlatform) -> None:
    scheduler = platform.start_scheduler()
    batch = platform.put(lines(1000, max_tokens=16))
    time.sleep(1)
    scheduler.kill()
    assert platform.batch(batch.id).status in (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)
    platform.start_worker()
    scheduler = platform.start_scheduler()
    platform.wait_for_lines(batch.id, 50)
    scheduler.kill()
    # Two at once do no harm either.
    platform.start_scheduler()
    platform.start_scheduler()
    ended = platform.wait_for_end(batch.id)
    assert (ended.status, ended.completed) == (BatchStatus.COMPLETED, 1000)
    platform.assert_agrees(ended)


def test_web_killed_during_a_batch_takes_nothing_with_it(platform: BatchPlatform) -> None:
    web = platform.start_web()
    platform.start_scheduler()
    platform.start_worker()
    upload = {"file": ("in.jsonl", b"".join(lines(400, max_tokens=32)), "application/jsonl")}
    file = platform.request("POST", "/v1/files", files=upload, data={"purpose": "batch"}).json()
    wanted = {"input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
    batch = platform.request("POST", "/v1/batches", json=wanted).json()
    platform.wait_for_lines(batch["id"], 50)
    web.kill()
    ended = platform.wait_for_end(batch["id"])
    assert (ended.status, ended.completed) == (BatchStatus.COMPLETED, 400)
    platform.start_web()
    shown = platform.request("GET", f"/v1/batches/{ended.id}").json()
    assert shown["request_counts"] == {"total": 400, "completed": 400, "failed": 0}
    content = platform.request("GET", f"/v1/files/{shown['output_file_id']}/content")
    answers = [json.loads(answer) for answer in content.iter_lines()]
    assert sum(answer["response"]["body"]["usage"]["completion_tokens"] for answer in answers) == 400 * 32
    platform.assert_agrees(ended)


def test_line_that_kills_its_worker_fails_alone(platform: BatchPlatform) -> None:
    platform.start_scheduler()
    content = lines(100)
    content[49] = line(50, "poison", 64)
    batch = platform.put(content)
    until = time.monotonic() + 450
    worker = None
    while not platform.batch(batch.id).status.ended:
        assert time.monotonic() < until, platform.batch(batch.id)
        if worker is None or not worker.running:
            worker = platform.start(
                "worker", "tests.integration.processes.poisoned_worker", test_poison="poison"
            )
        time.sleep(0.2)
    ended = platform.batch(batch.id)
    assert (ended.status, ended.completed, ended.failed) == (BatchStatus.COMPLETED, 99, 1)
    (failed,) = finished_lines(ended, "error")
    assert (failed.line_number, failed.code) == (50, "worker_lost")
    platform.assert_agrees(ended)


def test_broker_restarted_during_a_batch_delays_it_and_loses_nothing(
    private_postgres: PostgresServer, private_rabbitmq: RabbitMQServer, tmp_path: Path
) -> None:
    url = private_postgres.create_database(f"test_{uuid.uuid4().hex}")
    upgrade(url)
    with batch_platform(tmp_path, url, private_rabbitmq.url, f"t{uuid.uuid4().hex[:6]}") as platform:
        platform.start_scheduler()
        platform.start_worker()
        batch = platform.put(lines(600, max_tokens=32))
        platform.wait_for_lines(batch.id, 50)
        private_rabbitmq.kill()
        time.sleep(2)
        private_rabbitmq.start()
        ended = platform.wait_for_end(batch.id)
        assert (ended.status, ended.completed) == (BatchStatus.COMPLETED, 600)
        platform.assert_agrees(ended)


def test_cancel_during_the_run_stops_at_once_and_bills_what_was_answered(standing: BatchPlatform) -> None:
    batch = standing.put(lines(1000))
    standing.wait_for_lines(batch.id, 50)
    cancel_batch(standing.principal.project_id, batch.id)
    cancel_batch(standing.principal.project_id, batch.id)
    ended = standing.wait_for_end(batch.id, seconds=30)
    assert ended.status is BatchStatus.CANCELLED
    assert 50 <= ended.completed < 1000
    assert sum(1 for _ in finished_lines(ended, "output")) == ended.completed
    standing.assert_agrees(ended)


def test_interactive_request_during_a_full_batch_is_answered_long_before_it(standing: BatchPlatform) -> None:
    batch = standing.put(lines(800))
    standing.wait_for_lines(batch.id, 50)
    job = standing.submit(type="completion", model=MODEL, prompt="Hello", max_tokens=8)
    standing.wait_for(job["id"], "completed")
    # In the time of a few lines: it did not wait behind those in the queue, or even in the engine.
    assert standing.batch(batch.id).completed < 500
    cancel_batch(standing.principal.project_id, batch.id)
    standing.assert_agrees(standing.wait_for_end(batch.id))

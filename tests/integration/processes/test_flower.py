"""Flower beside a worker, through its HTTP API: what it shows, what it cancels, what it keeps."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.processes.batch_platform import MODEL, BatchPlatform, batch_platform, lines
from tests.services.fixtures import Broker
from tests.services.platform import PlatformProcess
from tests.services.ports import free_ports
from tests.services.postgres import PostgresServer

# It starts five processes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

PASSWORD = "a,long:password"
SECRET = "Nobody may read this"
LONG = {"type": "completion", "model": MODEL, "prompt": SECRET, "max_tokens": 480}


class Flower:
    """A running Flower and its user."""

    def __init__(self, platform: BatchPlatform, port: int) -> None:
        self._platform = platform
        self._port = port
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            auth=("admin", PASSWORD),
            timeout=30,
            verify=False,  # noqa: S501 - reading certificates takes longer than the tests
        )
        self.process = self.start()

    def start(self) -> PlatformProcess:
        process = self._platform.start(
            "flower", "web.cli", "flower", flower_port=self._port, flower_password=PASSWORD
        )
        process.wait_until(self._answers)
        return process

    def task(self, task_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/task/info/{task_id}")
        return answer.json() if answer.status_code == 200 else {"state": None}

    def wait_for(self, task_id: str, state: str, seconds: float = 20) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while (task := self.task(task_id))["state"] != state:
            assert time.monotonic() < until, task
            time.sleep(0.02)
        return task

    def revoke(self, task_id: str, terminate: bool = False) -> httpx.Response:
        return self.http.post(f"/api/task/revoke/{task_id}", params={"terminate": str(terminate).lower()})

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthcheck").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def platform(
    postgres_server: PostgresServer,
    template_database: str,
    rabbitmq: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BatchPlatform]:
    url = postgres_server.create_database(f"test_{uuid.uuid4().hex}", template=template_database)
    prefix = f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("flower")
    # All but the shortest jobs are acknowledged while they run. A worker may be frozen for a while.
    changed = {"early_ack_seconds": 0.05, "lease_seconds": 30, "republish_after_seconds": 60}
    with batch_platform(folder, url, rabbitmq.url, prefix, **changed) as started:
        started.start_web()
        started.start_scheduler()
        yield started


@pytest.fixture(scope="module")
def flower(platform: BatchPlatform) -> Iterator[Flower]:
    found = Flower(platform, free_ports(1)[0])
    yield found
    found.http.close()


@pytest.fixture(scope="module")
def worker(platform: BatchPlatform, flower: Flower) -> PlatformProcess:
    """Started after Flower, which sees it come."""
    return platform.start_worker()


def test_job_is_shown_until_its_real_end_and_nothing_of_its_prompt(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess
) -> None:
    job = platform.submit(**LONG)
    ended = platform.wait_for(job["id"], "completed")
    task = flower.wait_for(job["id"], "SUCCESS")
    assert (task["name"], task["args"]) == (f"job of {MODEL}", f"('{job['id']}',)")
    assert f"{ended['usage']['completion_tokens']} output tokens" in task["result"]
    # Longer than its message was held.
    assert task["runtime"] > 0.05
    assert task["received"] <= task["started"] <= task["succeeded"]
    assert [task["worker"]] == list(flower.http.get("/api/workers", params={"refresh": "true"}).json())
    everything = flower.http.get("/api/tasks").text + flower.http.get("/tasks").text
    assert job["id"] in everything
    assert SECRET not in everything


def test_worker_answers_flower_and_is_counted_right(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess
) -> None:
    job = platform.submit(**LONG | {"max_tokens": 1})
    flower.wait_for(job["id"], "SUCCESS")
    workers = flower.http.get("/api/workers", params={"refresh": "true"}).json()
    ((name, found),) = workers.items()
    assert found["stats"]["pid"] == worker.pid
    assert [queue["name"] for queue in found["active_queues"]] == [
        f"{platform.environment['TOKENMILL_QUEUE_PREFIX']}.generate.{MODEL}"
    ]
    (counted,) = flower.http.get("/workers", params={"json": "true"}).json()["data"]
    tasks = flower.http.get("/api/tasks", params={"limit": 1000}).json()
    assert (counted["hostname"], counted["status"]) == (name, True)
    assert counted["task-succeeded"] == sum(one["state"] == "SUCCESS" for one in tasks.values())


def test_slice_of_a_batch_is_shown_with_its_batch(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess
) -> None:
    batch = platform.put(lines(5, max_tokens=2))
    platform.wait_for_end(batch.id)
    until = time.monotonic() + 20
    while True:
        tasks = flower.http.get("/api/tasks", params={"taskname": f"batch slice of {MODEL}"}).json()
        if [one["state"] for one in tasks.values()] == ["SUCCESS"]:
            break
        assert time.monotonic() < until, tasks
        time.sleep(0.05)
    ((slice_id, task),) = tasks.items()
    assert (task["args"], task["result"]) == (f"('{batch.id}',)", "5 completed")
    refused = flower.revoke(slice_id)
    assert refused.status_code == 400
    assert "cancel the batch" in refused.text


@pytest.mark.parametrize("terminate", [False, True])
def test_revoking_a_running_task_cancels_its_job_and_bills_what_it_had(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess, terminate: bool
) -> None:
    for _ in range(20):
        job = platform.submit(**LONG)
        platform.wait_for(job["id"], "in_progress", "completed")
        answer = flower.revoke(job["id"], terminate)
        ended = platform.wait_for(job["id"], "completed", "cancelled")
        if ended["status"] == "cancelled":
            break
    assert "is cancelled at its next token" in answer.json()["message"]
    assert ended["usage"]["completion_tokens"] < 480
    flower.wait_for(job["id"], "REVOKED")
    assert worker.running
    platform.books.assert_settled()


def test_revoking_a_task_that_waits_cancels_its_job_and_leaves_the_others_theirs(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess
) -> None:
    worker.freeze()
    try:
        revoked, other = platform.submit(**LONG), platform.submit(**LONG | {"max_tokens": 2})
        assert flower.revoke(revoked["id"]).json() == {"message": f"{revoked['id']} is cancelled."}
        assert platform.job(revoked["id"])["status"] == "cancelled"
    finally:
        worker.thaw()
    platform.wait_for(other["id"], "completed")
    flower.wait_for(revoked["id"], "REVOKED")
    flower.wait_for(other["id"], "SUCCESS")
    again = flower.revoke(other["id"])
    assert (again.status_code, "already ended" in again.text) == (409, True)
    assert flower.revoke("job_of_nobody").status_code == 404
    platform.books.assert_settled()


@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("other", PASSWORD)])
def test_without_the_password_there_is_nothing_to_see_or_do(
    flower: Flower, auth: tuple[str, str] | None
) -> None:
    with httpx.Client(base_url=flower.http.base_url, auth=auth, verify=False) as client:  # noqa: S501
        for answer in (client.get("/"), client.get("/api/tasks"), client.post("/api/task/revoke/job_1")):
            assert answer.status_code == 401


def test_flower_does_without_torch(flower: Flower) -> None:
    mapped = [found.path for found in psutil.Process(flower.process.pid).memory_maps()]
    assert not [path for path in mapped if "torch" in path]


def test_what_flower_has_seen_outlives_it(
    platform: BatchPlatform, flower: Flower, worker: PlatformProcess, tmp_path: Path
) -> None:
    job = platform.submit(**LONG | {"max_tokens": 2})
    seen = flower.wait_for(job["id"], "SUCCESS")
    flower.process.stop()
    kept = b"".join(
        file.read_bytes() for file in (Path(platform.environment["TOKENMILL_DATA_DIR"]) / "flower").iterdir()
    )
    assert SECRET.encode() not in kept
    flower.process = flower.start()
    again = flower.task(job["id"])
    assert json.dumps(again, sort_keys=True) == json.dumps(seen, sort_keys=True)

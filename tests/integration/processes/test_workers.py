"""Workers that die, freeze, leave and share: nothing is lost, nothing is billed twice."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes.conftest import Books
from tests.services.platform import Platform, PlatformProcess

pytestmark = pytest.mark.slow

MODEL = "smollm2-135m-instruct"
LONG = {
    "type": "completion",
    "model": MODEL,
    "prompt": "Once upon a time, in a village by the sea, there lived",
    "max_tokens": 300,
    "temperature": 0,
}


def wait_for_tokens(platform: Platform, job_id: str) -> dict[str, Any]:
    """Until a part of the answer can be read."""
    until = time.monotonic() + 60
    while True:
        job = platform.job(job_id)
        assert job["status"] in ("queued", "in_progress"), job
        if job["output"]:
            return job
        assert time.monotonic() < until, job
        time.sleep(0.05)


def in_order_of_ownership(workers: list[PlatformProcess], books: Books, job_id: str) -> list[PlatformProcess]:
    """The worker that runs the job first."""
    (owner_pid,) = books.row(
        "SELECT process_id FROM workers JOIN jobs ON jobs.owner = workers.id WHERE jobs.id = %s", job_id
    )
    assert owner_pid in {worker.pid for worker in workers}
    return sorted(workers, key=lambda worker: worker.pid != owner_pid)


def test_worker_killed_mid_generation_is_finished_by_another_and_billed_once(
    platform: Platform, books: Books
) -> None:
    platform.start_web()
    platform.start_scheduler()
    workers = platform.start_workers(2)
    undisturbed = platform.wait_for(platform.submit(**LONG)["id"], "completed")

    job = platform.submit(**LONG)
    partial = wait_for_tokens(platform, job["id"])["output"]["text"]
    runs_it, other = in_order_of_ownership(workers, books, job["id"])
    runs_it.kill()
    killed_at = time.monotonic()
    while platform.job(job["id"])["attempt"] < 2:
        time.sleep(0.05)
        assert time.monotonic() - killed_at < 15, "not running again within 15 s"
    ended = platform.wait_for(job["id"], "completed")

    assert other.running
    assert ended["attempt"] == 2
    # Greedy, so going on from the checkpoint gives just what an undisturbed run gives.
    assert ended["output"]["text"] == undisturbed["output"]["text"]
    assert ended["output"]["text"].startswith(partial)
    assert ended["usage"] == undisturbed["usage"]
    assert ended["cost_usd"] == undisturbed["cost_usd"]
    assert books.charges(job["id"]) == 1
    books.assert_settled()


def test_frozen_worker_is_replaced_and_its_late_result_changes_nothing(
    platform: Platform, books: Books
) -> None:
    platform.start_web()
    platform.start_scheduler()
    workers = platform.start_workers(2)
    job = platform.submit(**LONG)
    wait_for_tokens(platform, job["id"])
    frozen, _ = in_order_of_ownership(workers, books, job["id"])
    frozen.freeze()
    ended = platform.wait_for(job["id"], "completed")
    assert ended["attempt"] == 2
    frozen.thaw()
    # The thawed worker still takes work, and what it had is no longer its own.
    after = [platform.submit(**LONG | {"max_tokens": 4})["id"] for _ in range(4)]
    for job_id in after:
        platform.wait_for(job_id, "completed")
    assert frozen.running
    assert platform.job(job["id"]) == ended
    assert books.charges(job["id"]) == 1
    books.assert_settled()


@pytest.mark.parametrize(("fault", "action"), [("hang", "engine_stuck"), ("raise", "engine_failed")])
def test_worker_whose_engine_can_not_go_on_ends_and_its_job_is_finished_elsewhere(
    platform: Platform, books: Books, tmp_path: Path, fault: str, action: str
) -> None:
    platform.start_web()
    platform.start_scheduler()
    switch = tmp_path / "fault"
    options = {"test_fault": switch, "worker_step_timeout_seconds": 5}
    faulty = platform.start("worker", "tests.integration.processes.faulty_worker", **options)
    faulty.wait_until(lambda: "model_ready" in faulty.log.read_text(errors="replace"))
    job = platform.submit(**LONG)
    partial = wait_for_tokens(platform, job["id"])["output"]["text"]
    switch.write_text(fault)
    platform.start_worker()
    ended = platform.wait_for(job["id"], "completed")
    assert not faulty.running
    log = faulty.log.read_text(errors="replace")
    assert action in log
    assert "engine_fatal" in log
    assert str(LONG["prompt"]) not in log
    assert ended["attempt"] == 2
    assert ended["output"]["text"].startswith(partial)
    assert books.charges(job["id"]) == 1
    books.assert_settled()


def test_worker_told_to_stop_hands_back_what_it_cannot_finish(platform: Platform, books: Books) -> None:
    platform.start_web()
    platform.start_scheduler()
    leaving = platform.start_worker()
    job = platform.submit(**LONG)
    wait_for_tokens(platform, job["id"])
    leaving.stop()
    handed_back = platform.job(job["id"])
    assert handed_back["status"] == "queued"
    assert books.row("SELECT worker_losses FROM jobs WHERE id = %s", job["id"]) == (0,)
    platform.start_worker()
    assert platform.wait_for(job["id"], "completed")["attempt"] == 2
    assert books.charges(job["id"]) == 1
    books.assert_settled()


def test_job_that_kills_three_workers_fails_and_is_not_billed(platform: Platform, books: Books) -> None:
    platform.start_web()
    platform.start_scheduler()
    job = platform.submit(**LONG | {"max_tokens": 1200})
    for _ in range(3):
        worker = platform.start_worker()
        platform.wait_for(job["id"], "in_progress")
        worker.kill()
        platform.wait_for(job["id"], "queued", "failed", seconds=15)
    ended = platform.wait_for(job["id"], "failed")
    assert ended["error"]["code"] == "worker_lost"
    assert ended["cost_usd"] == "0"
    assert books.charges(job["id"]) == 0
    books.assert_settled()


def test_jobs_are_cancelled_while_queued_running_twice_and_after_the_end(
    platform: Platform, books: Books
) -> None:
    platform.start_web()
    platform.start_scheduler()
    queued = platform.submit(**LONG)
    assert platform.request("POST", f"/v1/jobs/{queued['id']}/cancel").json()["status"] == "cancelled"

    platform.start_worker()
    running = platform.submit(**LONG | {"max_tokens": 1200})
    partial = wait_for_tokens(platform, running["id"])
    for _ in range(2):
        assert platform.request("POST", f"/v1/jobs/{running['id']}/cancel").status_code == 200
    ended = platform.wait_for(running["id"], "cancelled", seconds=10)
    assert ended["output"]["text"].startswith(partial["output"]["text"])
    assert ended["output"]["finish_reason"] is None
    assert 0 < ended["usage"]["completion_tokens"] < 1200
    assert books.charges(running["id"]) == 1
    again = platform.request("POST", f"/v1/jobs/{running['id']}/cancel")
    assert (again.status_code, again.json()) == (200, ended)

    done = platform.wait_for(platform.submit(**LONG | {"max_tokens": 2})["id"], "completed")
    refused = platform.request("POST", f"/v1/jobs/{done['id']}/cancel")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "job_already_ended"
    assert refused.headers["x-should-retry"] == "false"
    assert platform.job(done["id"]) == done
    books.assert_settled()


def test_job_expires_while_queued_and_while_running(platform: Platform, books: Books) -> None:
    platform.start_web()
    platform.start_scheduler()
    queued = platform.submit(**LONG | {"expires_in_seconds": 1})
    ended = platform.wait_for(queued["id"], "expired", seconds=15)
    assert (ended["cost_usd"], ended["error"]["code"]) == ("0", "job_expired")

    platform.start_worker()
    running = platform.submit(**LONG | {"max_tokens": 2000, "expires_in_seconds": 3})
    ended = platform.wait_for(running["id"], "expired", seconds=20)
    assert ended["usage"]["completion_tokens"] > 0
    assert ended["output"]["text"]
    assert books.charges(running["id"]) == 1
    books.assert_settled()


def test_two_schedulers_and_two_workers_finish_each_job_once(
    platform: Platform, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By their commands, as operators start them.
    monkeypatch.setattr(Platform, "zygotes", None)
    platform.start_web()
    jobs = [platform.submit(**LONG | {"max_tokens": 8})["id"] for _ in range(30)]
    platform.start_scheduler()
    platform.start_scheduler()
    platform.start_workers(2)
    for job_id in jobs:
        assert platform.wait_for(job_id, "completed")["attempt"] == 1
        assert books.charges(job_id) == 1
    books.assert_settled()

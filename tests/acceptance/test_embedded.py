"""`tokenmill serve --embedded`: what it prints works, and stopping it loses nothing."""

import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.conftest import StartServer

pytestmark = pytest.mark.embedded("it is about starting and stopping that platform")

COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_job_waits_for_the_model_to_be_loaded_and_finishes_after_a_ctrl_c(start_server: StartServer) -> None:
    server = start_server()
    early = server.submit(prompt=COUNTING, max_tokens=2)
    assert server.wait_until_ready().ended(early["id"])["status"] == "completed"
    job = server.submit(prompt=COUNTING, max_tokens=60)
    server.until(job["id"], "in_progress")
    server.send(signal.SIGINT)
    assert server.wait_for_exit() == 0
    assert "Stopping" in server.output
    assert "Stopped" in server.output
    assert "Traceback" not in server.log
    ended = start_server().job(job["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 1)


def test_waiting_client_is_answered_when_the_server_stops_and_a_second_ctrl_c_ends_it_at_once(
    start_server: StartServer,
) -> None:
    server = start_server(TOKENMILL_DRAIN_GRACE_SECONDS="60").wait_until_ready()
    job = server.submit(prompt=COUNTING, max_tokens=2000)
    server.until(job["id"], "in_progress")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(server.job, job["id"], wait=60)
        # Long enough for the request to be where it waits; nothing outside tells.
        threading.Event().wait(2)
        server.send(signal.SIGINT)
        assert waiting.result(timeout=30)["status"] == "in_progress"
    server.send(signal.SIGINT)
    assert server.wait_for_exit(seconds=15) == 0


def test_key_stays_the_same_and_unfinished_jobs_go_on_after_a_restart(start_server: StartServer) -> None:
    server = start_server(TOKENMILL_DRAIN_GRACE_SECONDS="0", TOKENMILL_WORKER_SLOTS="2").wait_until_ready()
    jobs = [server.submit(prompt=COUNTING, max_tokens=400) for _ in range(4)]
    server.until(jobs[0]["id"], "in_progress")
    server.send(signal.SIGINT)
    assert server.wait_for_exit() == 0
    restarted = start_server().wait_until_ready()
    assert restarted.key == server.key
    ended = [restarted.ended(job["id"]) for job in jobs]
    assert [job["status"] for job in ended] == ["completed"] * 4
    assert len({job["output"]["text"] for job in ended}) == 1
    assert all(job["usage"]["completion_tokens"] == 400 for job in ended)


def test_killed_server_loses_nothing(start_server: StartServer) -> None:
    server = start_server().wait_until_ready()
    undisturbed = server.ended(server.submit(prompt=COUNTING, max_tokens=400)["id"])
    job = server.submit(prompt=COUNTING, max_tokens=400)
    server.until(job["id"], "in_progress")
    server.send(signal.SIGKILL)
    server.wait_for_exit()
    ended = start_server().wait_until_ready().ended(job["id"])
    assert ended["status"] == "completed"
    assert ended["output"] == undisturbed["output"]
    assert ended["usage"]["completion_tokens"] == undisturbed["usage"]["completion_tokens"]

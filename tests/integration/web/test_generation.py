"""Answers that wait and answers that stream: what becomes of the job, of the client and of the server."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from inference.request import OutcomeStatus
from tasks import cancellation, job_queries
from tasks.db import transaction
from tasks.job_queries import JobFilter
from tasks.keys import Principal
from tasks.models import Job, JobStatus
from tasks.result import JobResult
from tasks.settings import settings
from tasks.wire.chunks import Event
from tasks.wire.job_events import JobEvents
from tests.integration.tasks.hand_worker import HandWorker, ids, working
from tests.integration.tasks.scripted_engine import ScriptedGeneration
from tests.integration.web.conftest import Api
from web.longpoll import LongPolls

STORY = "Once upon a time"


@pytest.fixture
def worker() -> Iterator[HandWorker]:
    with working() as started:
        yield started


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def only_job(principal: Principal) -> Callable[[], str]:
    """Waits for the one job of the test."""

    def find() -> str:
        until = time.monotonic() + 10
        while not (jobs := job_queries.list_jobs(principal.project_id, JobFilter()).items):
            assert time.monotonic() < until
            time.sleep(0.01)
        (job,) = jobs
        return job.id

    return find


@pytest.fixture
def status_of(principal: Principal) -> Callable[[str], JobStatus]:
    return lambda job_id: job_queries.get_job(principal.project_id, job_id).status


def until(condition: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError("the condition did not come true within 5 s")


def hang_up_after(api: Api, path: str, secret: str, then: Callable[[], None], **body: object) -> None:
    """Post, wait for something, close the connection unanswered."""
    content = json.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    )
    head += "Idempotency-Key: again\r\n" if body.get("metadata") else ""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(api.address)
        connection.sendall((head + "\r\n" + content).encode())
        then()


def stopping(api: Api) -> None:
    polls: LongPolls = api.app.extensions["long_polls"]
    polls.stop()


def post(api: Api, clients: ThreadPoolExecutor, **body: object) -> "Future[httpx.Response]":
    return clients.submit(api.http.post, "/test/answer", json=body)


def finish(generation: ScriptedGeneration, text: str = STORY) -> None:
    for token_id in ids(text):
        generation.generate(token_id)
    generation.end(text=text)


def events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in response.text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines())
        if "data" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_answer_is_the_result_of_the_job(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    answer = post(api, clients)
    job_id = only_job()
    finish(worker.take(job_id))
    response = answer.result(5)
    assert (response.status_code, response.json()) == (200, {"status": "completed", "text": STORY})
    assert response.headers["x-tokenmill-job-id"] == job_id


@pytest.mark.parametrize(
    ("status", "http_status", "code"),
    [
        (OutcomeStatus.FAILED, 500, "engine_error"),
        (OutcomeStatus.EXPIRED, 504, "generation_timeout"),
        (OutcomeStatus.CANCELLED, 409, "job_cancelled"),
    ],
)
def test_job_that_came_to_nothing_is_an_error_that_says_so(
    api: Api,
    worker: HandWorker,
    clients: ThreadPoolExecutor,
    only_job: Callable[[], str],
    status: OutcomeStatus,
    http_status: int,
    code: str,
) -> None:
    answer = post(api, clients)
    worker.take(only_job()).end(status)
    response = answer.result(5)
    assert (response.status_code, response.json()["error"]["code"]) == (http_status, code)
    assert (response.headers.get("x-should-retry") == "false") == (http_status != 500)


def test_output_cut_short_by_a_cancel_is_still_an_answer(
    api: Api,
    worker: HandWorker,
    clients: ThreadPoolExecutor,
    only_job: Callable[[], str],
    principal: Principal,
) -> None:
    answer = post(api, clients)
    generation = worker.take(only_job())
    generation.generate(7)
    cancellation.cancel_job(principal.project_id, only_job())
    assert answer.result(5).json() == {"status": "cancelled", "text": " 7"}


def test_time_out_names_the_job_which_goes_on(
    api: Api,
    worker: HandWorker,
    clients: ThreadPoolExecutor,
    only_job: Callable[[], str],
    status_of: Callable[[str], JobStatus],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKENMILL_SYNC_TIMEOUT_SECONDS", "0.3")
    settings.cache_clear()
    answer = post(api, clients)
    generation = worker.take(only_job())
    response = answer.result(5)
    assert response.status_code == 504
    assert response.json()["error"]["type"] == "timeout_error"
    assert response.json()["error"]["code"] == "job_still_running"
    assert only_job() in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-tokenmill-job-id"] == only_job()
    finish(generation)
    until(lambda: status_of(only_job()) is JobStatus.COMPLETED)


@pytest.mark.parametrize("path", ["/test/answer", "/test/stream"])
def test_client_that_hangs_up_cancels_its_running_job_and_frees_its_slot(
    api: Api,
    worker: HandWorker,
    secret: str,
    only_job: Callable[[], str],
    status_of: Callable[[str], JobStatus],
    path: str,
) -> None:
    taken: list[ScriptedGeneration] = []
    hang_up_after(api, path, secret, lambda: taken.append(worker.take(only_job())))
    # The engine is told at once, not at the next look at anything.
    assert taken[0].wait(1.5) is not None
    until(lambda: status_of(only_job()) is JobStatus.CANCELLED)


@pytest.mark.parametrize("path", ["/test/answer", "/test/stream"])
def test_client_that_hangs_up_cancels_its_queued_job(
    api: Api, secret: str, only_job: Callable[[], str], status_of: Callable[[str], JobStatus], path: str
) -> None:
    hang_up_after(api, path, secret, lambda: until(only_job))
    until(lambda: status_of(only_job()).ended)
    assert status_of(only_job()) is JobStatus.CANCELLED


@pytest.mark.parametrize("path", ["/test/answer", "/test/stream"])
@pytest.mark.parametrize("body", [{"store": True}, {"metadata": {"key": "sent"}}], ids=["stored", "key"])
def test_job_that_its_client_may_come_back_for_goes_on(
    api: Api,
    worker: HandWorker,
    secret: str,
    only_job: Callable[[], str],
    status_of: Callable[[str], JobStatus],
    path: str,
    body: dict[str, Any],
) -> None:
    taken: list[ScriptedGeneration] = []
    hang_up_after(api, path, secret, lambda: taken.append(worker.take(only_job())), **body)
    assert taken[0].wait(0.5) is None
    finish(taken[0])
    until(lambda: status_of(only_job()) is JobStatus.COMPLETED)


def test_client_that_reads_nothing_is_given_up_and_its_job_cancelled(
    api: Api,
    worker: HandWorker,
    secret: str,
    only_job: Callable[[], str],
    status_of: Callable[[str], JobStatus],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKENMILL_SEND_TIMEOUT_SECONDS", "0.3")
    settings.cache_clear()

    def fill_its_buffers() -> None:
        generation = worker.take(only_job())
        for token_id in range(1000, 3000):
            generation.generate(token_id)
        assert generation.wait(5) is not None

    hang_up_after(api, "/test/stream", secret, fill_its_buffers, max_tokens=4000)
    until(lambda: status_of(only_job()) is JobStatus.CANCELLED)


def test_same_key_gets_the_same_job_answered_and_streamed(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    key = {"Idempotency-Key": "one"}
    first = clients.submit(api.http.post, "/test/answer", json={}, headers=key)
    job_id = only_job()
    again = clients.submit(api.http.post, "/test/answer", json={}, headers=key)
    finish(worker.take(job_id))
    assert first.result(5).json() == again.result(5).json()
    assert again.result().headers["Idempotent-Replayed"] == "true"
    streamed = api.http.post("/test/stream", json={}, headers=key)
    assert streamed.headers["x-tokenmill-job-id"] == only_job()
    assert streamed.headers["Idempotent-Replayed"] == "true"
    assert "".join(data["text"] for name, data in events(streamed) if name == "tokens") == STORY


def test_stream_is_the_tokens_between_the_job_and_the_job(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    streamed = clients.submit(api.http.post, "/test/stream", json={})
    finish(worker.take(only_job()))
    (first, job), *tokens, (last, ended) = events(streamed.result(5))
    assert (first, job["status"], last, ended["status"]) == ("job", "queued", "job", "completed")
    assert [data["token_ids"] for _, data in tokens] == [[token_id] for token_id in ids(STORY)]


def test_failure_in_mid_stream_is_an_event_and_never_a_silent_close(
    api: Api,
    worker: HandWorker,
    clients: ThreadPoolExecutor,
    only_job: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: JobEvents, result: JobResult) -> Iterator[Event]:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(JobEvents, "end", fail)
    streamed = clients.submit(api.http.post, "/test/stream", json={})
    finish(worker.take(only_job()))
    name, data = events(streamed.result(5))[-1]
    assert (name, data["error"]["type"]) == ("error", "server_error")
    assert "secret" not in streamed.result().text


def test_refused_submit_is_a_plain_refusal_and_leaves_nothing_behind(api: Api) -> None:
    polls: LongPolls = api.app.extensions["long_polls"]
    for _ in range(10):
        response = api.http.post("/test/stream", json={"expires_in_seconds": 10**9})
        assert response.status_code == 400
    assert polls._wakes == set()


@pytest.mark.parametrize("path", ["/test/answer", "/test/stream"])
def test_request_beyond_what_the_process_can_serve_makes_no_job(api: Api, path: str) -> None:
    polls: LongPolls = api.app.extensions["long_polls"]
    for _ in range(6):
        polls._places.acquire()
    response = api.http.post(path, json={})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "server_busy")
    assert int(response.headers["Retry-After"]) >= 1
    with transaction() as connection:
        assert connection.execute(select(func.count()).select_from(Job)).scalar() == 0


def test_stopping_server_answers_those_who_wait_and_lets_their_jobs_go_on(
    api: Api,
    worker: HandWorker,
    clients: ThreadPoolExecutor,
    only_job: Callable[[], str],
    status_of: Callable[[str], JobStatus],
) -> None:
    answer = post(api, clients)
    generation = worker.take(only_job())
    threading.Timer(0.2, stopping, [api]).start()
    assert answer.result(2).json()["error"]["code"] == "job_still_running"
    finish(generation)
    until(lambda: status_of(only_job()) is JobStatus.COMPLETED)


def test_stopping_server_ends_its_streams_with_an_error(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    streamed = clients.submit(api.http.post, "/test/stream", json={})
    generation = worker.take(only_job())
    threading.Timer(0.2, stopping, [api]).start()
    name, data = events(streamed.result(2))[-1]
    assert (name, data["error"]["code"]) == ("error", "server_stopping")
    assert f"/v1/jobs/{only_job()}/events" in data["error"]["message"]
    assert generation.wait(0.3) is None
    generation.end()


@pytest.mark.parametrize("last_id", ["x", "1,2", "-1", "1.", "1.2", "1" * 12, "end", ""])
def test_malformed_event_id_is_refused_by_name(api: Api, clients: ThreadPoolExecutor, last_id: str) -> None:
    job = api.http.post("/v1/jobs", json={"type": "completion", "model": "smollm2", "prompt": "a"}).json()
    header = api.http.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": last_id})
    query = api.http.get(f"/v1/jobs/{job['id']}/events", params={"starting_after": last_id})
    assert (header.status_code, header.json()["error"]["param"]) == (400, "Last-Event-ID")
    assert (query.status_code, query.json()["error"]["param"]) == (400, "starting_after")


def test_events_of_a_job_that_is_not_there_are_not_found(api: Api) -> None:
    assert api.http.get("/v1/jobs/job_0/events").status_code == 404
    assert api.http.get("/v1/jobs/job_0/events", headers={"Last-Event-ID": "end"}).status_code == 404


def test_answer_of_a_job_can_be_read_later_in_the_form_of_its_endpoint(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 64}
    answer = clients.submit(api.http.post, "/v1/chat/completions", json=body)
    generation = worker.take(only_job())
    early = api.http.get(f"/v1/jobs/{only_job()}/result")
    assert (early.status_code, early.json()["error"]["code"]) == (504, "job_still_running")
    finish(generation)
    assert answer.result(5).json()["object"] == "chat.completion"
    assert api.http.get(f"/v1/jobs/{only_job()}/result").json() == answer.result().json()


def test_answer_of_a_failed_job_is_its_error_later_too(
    api: Api, worker: HandWorker, clients: ThreadPoolExecutor, only_job: Callable[[], str]
) -> None:
    answer = post(api, clients)
    worker.take(only_job()).end(OutcomeStatus.FAILED)
    assert answer.result(5).status_code == 500
    later = api.http.get(f"/v1/jobs/{only_job()}/result")
    assert (later.status_code, later.json()["error"]["code"]) == (500, "engine_error")

"""Streams whose web process, worker or broker dies: each token is seen once and billed once."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openai import OpenAI

from tasks.migrate import upgrade
from tests.integration.processes.conftest import QUICK, WHOLE, Books, with_key
from tests.integration.processes.event_source import EventSource, open_and_never_read, text, tokens
from tests.services.platform import Platform
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer
from tests.services.traces import Step, by_name, parent_id, read_steps, service, span_id
from tests.unit.tasks.metrics.samples import Page

# Each starts several processes, one after the other, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

MODEL = "smollm2-135m-instruct"
LONG = {
    "type": "completion",
    "model": MODEL,
    "prompt": "Once upon a time, in a village by the sea, there lived",
    "max_tokens": 300,
    "temperature": 0,
}


def follow(platform: Platform, job_id: str, last_id: str | None = None) -> EventSource:
    return EventSource(f"{platform.base_url}/v1/jobs/{job_id}/events", platform.headers, last_id)


def assert_complete(pieces: list[dict[str, Any]], job: dict[str, Any]) -> None:
    """Every token of the finished job, once and in order."""
    assert [piece["position"] for piece in pieces] == list(range(1, job["usage"]["completion_tokens"] + 1))
    assert text(pieces) == job["output"]["text"]


def test_events_are_the_tokens_as_they_come_then_the_ended_job(standing: Platform) -> None:
    job = standing.submit(**LONG)
    with follow(standing, job["id"]) as source:
        assert source.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert source.headers["cache-control"] == "no-cache"
        assert source.headers["x-accel-buffering"] == "no"
        assert source.headers["x-tokenmill-job-id"] == job["id"]
        events = list(source.events())
        assert source.last_id == "end"
    assert [name for name, _ in (events[0], events[-1])] == ["job", "job"]
    ended = standing.job(job["id"])
    assert events[-1][1] == ended
    assert_complete([data for name, data in events if name == "tokens"], ended)
    with follow(standing, job["id"], "end") as source:
        assert source.status == 204
    with follow(standing, job["id"], "150") as source:
        assert [piece["position"] for piece in tokens(source.events())] == list(range(151, 301))


def test_trace_of_a_stream_leads_from_its_request_through_the_worker(standing: Platform) -> None:
    trace_id, caller = uuid.uuid4().hex, "00f067aa0ba902b7"
    body = {"model": LONG["model"], "prompt": LONG["prompt"], "max_tokens": 20, "stream": True}
    sent = {"traceparent": f"00-{trace_id}-{caller}-01"}
    answer = standing.request("POST", "/v1/completions", json=body, headers=sent)
    file = Path(standing.environment["TOKENMILL_TRACES_FILE"])
    steps = wait_for_trace(file, trace_id)
    request, job = steps["POST /v1/completions"], steps["job"]
    assert answer.headers["traceparent"] == f"00-{trace_id}-{span_id(request)}-01"
    parents = {name: parent_id(step) for name, step in steps.items()}
    assert parents == {
        "POST /v1/completions": caller,
        **dict.fromkeys(("admit", "publish", "queue", "job"), span_id(request)),
        **dict.fromkeys(("claim", "wait", "prefill", "decode", "commit"), span_id(job)),
    }
    of_web = {"POST /v1/completions", "admit", "publish"}
    assert {name for name, step in steps.items() if service(step) == "tokenmill-web"} == of_web
    in_order = [
        steps[name]["end_time"] for name in ("admit", "queue", "claim", "prefill", "decode", "commit")
    ]
    assert in_order == sorted(in_order)
    assert job["attributes"]["gen_ai.usage.output_tokens"] == 20
    assert str(LONG["prompt"]) not in repr(steps)
    for log in file.parent.glob("w*.log"):
        assert f"trace_id={trace_id}" in log.read_text(), log


def wait_for_trace(file: Path, trace_id: str) -> dict[str, Step]:
    """The steps of a trace, once its request and its job are over."""
    until = time.monotonic() + 60
    while not {"job", "POST /v1/completions", "publish"} <= set(steps := by_name(read_steps(file), trace_id)):
        assert time.monotonic() < until, steps
        time.sleep(0.1)
    return steps


def test_web_process_killed_mid_stream_and_the_client_goes_on_at_another(
    platform: Platform, books: Books
) -> None:
    first = platform.start_web()
    platform.start_worker()
    job = platform.submit(**LONG)
    with follow(platform, job["id"]) as source:
        seen = tokens(source.events(), at_most=20)
        first.kill()
    platform.start_web()
    with follow(platform, job["id"], source.last_id) as source:
        seen += tokens(source.events())
    assert_complete(seen, platform.job(job["id"]))
    assert books.charges(job["id"]) == 1
    books.assert_settled()


def test_worker_killed_mid_stream_and_the_stream_goes_on(platform: Platform, books: Books) -> None:
    platform.start_web()
    platform.start_scheduler()
    worker = platform.start_worker()
    job = platform.submit(**LONG)
    with follow(platform, job["id"]) as source:
        events = source.events()
        seen = tokens(events, at_most=40)
        worker.kill()
        platform.start_worker()
        seen += tokens(events)
    ended = platform.job(job["id"])
    assert ended["attempt"] == 2
    assert_complete(seen, ended)
    assert ended["usage"]["completion_tokens"] == 300
    assert books.charges(job["id"]) == 1
    books.assert_settled()


def test_stuck_client_holds_up_neither_the_worker_nor_others(standing: Platform) -> None:
    stuck_job = standing.submit(**LONG | {"max_tokens": 1200})
    with open_and_never_read(f"{standing.base_url}/v1/jobs/{stuck_job['id']}/events", standing.headers):
        job = standing.submit(**LONG | {"max_tokens": 40})
        with follow(standing, job["id"]) as source:
            assert_complete(tokens(source.events()), standing.wait_for(job["id"], "completed"))
        ended = standing.wait_for(stuck_job["id"], "completed", seconds=240)
    assert ended["usage"]["completion_tokens"] == 1200
    Books(standing.environment["DATABASE_URL"]).assert_settled()


def test_two_clients_of_a_job_get_the_same_and_one_may_leave(standing: Platform) -> None:
    job = standing.submit(**LONG)
    with follow(standing, job["id"]) as one, follow(standing, job["id"]) as other:
        events = other.events()
        seen = tokens(events, at_most=5)
        tokens(one.events(), at_most=5)
        one.close()
        seen += tokens(events)
    assert_complete(seen, standing.job(job["id"]))


def test_each_web_process_tells_of_both_and_a_dead_one_is_not_forgotten(standing: Platform) -> None:
    (web,) = [psutil.Process(process.pid) for process in standing.processes("web")]
    one, other = web.children()
    route = {"route": "/healthz", "method": "GET", "status": "200"}

    def look() -> Page:
        return Page.parse(httpx.get(standing.metrics_urls["web"], timeout=30, trust_env=False).text)

    before = look().of("http_requests_total", **route)
    for serves, rests in ((one, other), (other, one)):
        rests.suspend()
        for _ in range(3):
            assert httpx.get(f"{standing.base_url}/healthz", timeout=30, trust_env=False).status_code == 200
        rests.resume()
        serves.suspend()
        found = look()
        serves.resume()
        assert found.of("http_requests_running") >= 1
        assert found.of("http_requests_total", **route) == (before := before + 3)
    one.kill()
    until = time.monotonic() + 30
    while len(web.children()) < 2 or one in web.children():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert look().of("http_requests_total", **route) == before


def test_worker_and_scheduler_tell_of_themselves_at_ports_of_their_own(standing: Platform) -> None:
    labels = {"model": MODEL, "tier": "default"}
    before = Page.parse(standing.metrics("worker"))
    job = standing.wait_for(standing.submit(**LONG | {"max_tokens": 8})["id"], "completed")
    worker, scheduler = Page.parse(standing.metrics("worker")), Page.parse(standing.metrics("scheduler"))
    ended = {"outcome": "completed", **labels}
    assert worker.of("jobs_ended_total", **ended) - before.of("jobs_ended_total", **ended) == 1
    output = {"kind": "output", **labels}
    grown = worker.of("tokens_total", **output) - before.of("tokens_total", **output)
    assert grown == job["usage"]["completion_tokens"]
    assert worker.of("engine_steps_total", model=MODEL) > before.of("engine_steps_total", model=MODEL)
    assert worker.of("device_memory_used_bytes", device="cpu") > 0
    assert scheduler.of("live_workers", model=MODEL) == 1
    assert scheduler.has("queue_jobs", **labels)
    assert scheduler.of("maintenance_runs_total", task="expire_jobs", outcome="ok") > 0
    assert "tokenmill_engine_steps_total" not in scheduler.families


def test_stopping_server_tells_its_clients_to_go_on_elsewhere(platform: Platform, tmp_path: Path) -> None:
    web = platform.start_web()
    job = platform.submit(**LONG)
    with follow(platform, job["id"]) as source:
        events = source.events()
        assert next(events)[0] == "job"
        started = time.monotonic()
        web.stop(seconds=10)
        (name, data), *more = list(events)
        assert time.monotonic() - started < 8
    assert (name, data["error"]["code"], more) == ("error", "server_stopping", [])
    assert job["id"] in data["error"]["message"]
    assert not list(tmp_path.glob("tokenmill-metrics-*")), "the folder that its processes counted in"


def test_official_client_chats_streams_embeds_and_runs_a_batch(standing: Platform) -> None:
    for model in ("all-minilm-l6-v2", WHOLE):
        standing.start_worker(worker_model=model)
    key = standing.headers["Authorization"].removeprefix("Bearer ")
    messages: Any = [{"role": "user", "content": "What is the capital of France?"}]
    asked: Any = {"model": WHOLE, "messages": messages, "temperature": 0, "max_tokens": 12}
    with OpenAI(base_url=f"{standing.base_url}/v1", api_key=key, max_retries=0) as sdk:
        answer = sdk.chat.completions.create(**asked).choices[0].message.content
        assert "Paris" in answer
        chunks = list(sdk.chat.completions.create(**asked, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == answer
        vector = sdk.embeddings.create(model="minilm", input="Paris").data[0].embedding
        assert len(vector) == 384
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": asked}
        file = sdk.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        until = time.monotonic() + 60
        while (batch := sdk.batches.retrieve(batch.id)).status != "completed":
            assert time.monotonic() < until, batch
            time.sleep(0.1)
        assert batch.output_file_id is not None
        output = json.loads(sdk.files.content(batch.output_file_id).text)
    assert output["response"]["body"]["choices"][0]["message"]["content"] == answer
    Books(standing.environment["DATABASE_URL"]).assert_settled()


@pytest.fixture
def fragile(
    shallow: dict[str, str],
    private_postgres: PostgresServer,
    private_rabbitmq: RabbitMQServer,
    tmp_path: Path,
) -> Iterator[Platform]:
    """A platform on services that its tests may stop."""
    database_url = private_postgres.create_database(f"test_{uuid.uuid4().hex}")
    upgrade(database_url)
    prefix = f"t{uuid.uuid4().hex[:6]}"
    with Platform(
        tmp_path,
        database_url=database_url,
        broker_url=private_rabbitmq.url,
        queue_prefix=prefix,
        **QUICK | shallow,
    ) as platform:
        yield with_key(platform)


def test_broker_restarted_mid_stream_costs_no_token(
    fragile: Platform, private_rabbitmq: RabbitMQServer
) -> None:
    fragile.start_web()
    fragile.start_scheduler()
    fragile.start_worker()
    job = fragile.submit(**LONG | {"max_tokens": 1000})
    with follow(fragile, job["id"]) as source:
        events = source.events()
        seen = tokens(events, at_most=20)
        private_rabbitmq.kill()
        seen += tokens(events, at_most=20)
        private_rabbitmq.start()
        assert fragile.job(job["id"])["status"] == "in_progress"
        seen += tokens(events)
    assert_complete(seen, fragile.job(job["id"]))
    # And live again, not from looks at the database.
    job = fragile.submit(**LONG | {"max_tokens": 60})
    with follow(fragile, job["id"]) as source:
        assert_complete(tokens(source.events()), fragile.wait_for(job["id"], "completed"))

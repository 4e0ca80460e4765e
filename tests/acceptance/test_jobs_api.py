"""The jobs API from outside, with the real model behind it."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest

from tests.acceptance.conftest import LiveServer

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
# Greedy counting goes on for as long as it is let.
COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"


@pytest.fixture
def finished(live_server: LiveServer) -> dict[str, Any]:
    return live_server.job(live_server.submit(messages=FRANCE, max_tokens=24)["id"], wait=60)


def test_chat_job_is_answered_and_billed_to_the_token(
    live_server: LiveServer, finished: dict[str, Any]
) -> None:
    assert finished["status"] == "completed"
    assert "Paris" in finished["output"]["message"]["content"]
    assert finished["output"]["message"]["role"] == "assistant"
    assert finished["output"]["finish_reason"] in {"stop", "length"}
    assert finished["error"] is None
    assert finished["attempt"] == 1
    assert finished["queue_position"] is None
    assert finished["created_at"] <= finished["started_at"] <= finished["ended_at"] < finished["expires_at"]
    usage = finished["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    prices = live_server.http.get("/v1/models/smollm2").json()["prices"]
    cost = (
        (usage["prompt_tokens"] - usage["cached_tokens"]) * Decimal(prices["input_usd"])
        + usage["cached_tokens"] * Decimal(prices["cached_input_usd"])
        + usage["completion_tokens"] * Decimal(prices["output_usd"])
    ) / 1_000_000
    assert Decimal(finished["cost_usd"]) == cost


def test_completion_job_continues_its_prompt_up_to_the_limit(live_server: LiveServer) -> None:
    job = live_server.submit(prompt=COUNTING, max_tokens=6)
    ended = live_server.job(job["id"], wait=60)
    assert ended["status"] == "completed"
    assert "13" in ended["output"]["text"]
    assert ended["output"]["finish_reason"] == "length"
    assert ended["usage"]["completion_tokens"] == 6


def test_text_ends_before_a_stop_string(live_server: LiveServer) -> None:
    job = live_server.submit(prompt=COUNTING, max_tokens=40, stop=["15", "16"])
    ended = live_server.job(job["id"], wait=60)
    assert "14" in ended["output"]["text"]
    assert "15" not in ended["output"]["text"]
    assert ended["output"]["finish_reason"] == "stop"


def test_same_seed_gives_the_same_text(live_server: LiveServer) -> None:
    def sample(seed: int) -> str:
        job = live_server.submit(prompt="The mill", max_tokens=4, temperature=1.5, seed=seed)
        text: str = live_server.job(job["id"], wait=60)["output"]["text"]
        return text

    assert sample(7) == sample(7) != sample(8)


def test_waiting_returns_the_moment_the_job_ends(live_server: LiveServer) -> None:
    job = live_server.submit(prompt=COUNTING, max_tokens=4)
    response = live_server.http.get(f"/v1/jobs/{job['id']}?wait=60")
    assert response.json()["status"] == "completed"
    assert int(response.headers["openai-processing-ms"]) < 20_000
    assert "Retry-After" not in response.headers


def test_accepted_job_has_an_address_and_tells_when_to_look(live_server: LiveServer) -> None:
    body = {"type": "completion", "model": "smollm2", "prompt": COUNTING, "max_tokens": 200, "temperature": 0}
    accepted = live_server.http.post("/v1/jobs", json=body)
    assert accepted.status_code == 202
    job = accepted.json()
    assert (job["status"], job["usage"], job["cost_usd"]) == ("queued", None, None)
    read = live_server.http.get(accepted.headers["Location"])
    assert read.json()["id"] == job["id"]
    assert 1 <= int(read.headers["Retry-After"]) <= 120
    live_server.http.post(f"/v1/jobs/{job['id']}/cancel")


def test_unchanged_job_is_a_304(live_server: LiveServer, finished: dict[str, Any]) -> None:
    path = f"/v1/jobs/{finished['id']}"
    tag = live_server.http.get(path).headers["ETag"]
    assert live_server.http.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_same_key_and_body_lead_to_the_same_job_and_another_body_to_a_409(live_server: LiveServer) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"type": "completion", "model": "smollm2", "prompt": "one", "max_tokens": 1}
    first = live_server.http.post("/v1/jobs", json=body, headers=key)
    again = live_server.http.post("/v1/jobs", json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    other = live_server.http.post("/v1/jobs", json=body | {"prompt": "two"}, headers=key)
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    assert other.headers["x-should-retry"] == "false"


def test_many_posts_at_once_with_one_key_make_one_job(live_server: LiveServer) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"type": "completion", "model": "smollm2", "prompt": "one", "max_tokens": 1}

    def post(_: int) -> httpx.Response:
        return live_server.http.post("/v1/jobs", json=body, headers=key)

    with ThreadPoolExecutor(20) as threads:
        responses = list(threads.map(post, range(20)))
    assert len({response.json()["id"] for response in responses}) == 1
    assert sorted(response.status_code for response in responses) == [200] * 19 + [202]


def test_running_job_is_cancelled_and_keeps_its_partial_text(live_server: LiveServer) -> None:
    job = live_server.submit(prompt=COUNTING, max_tokens=4000)
    live_server.until(job["id"], "in_progress")
    first = live_server.http.post(f"/v1/jobs/{job['id']}/cancel")
    again = live_server.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["cancel_requested_at"] is not None
    ended = live_server.job(job["id"], wait=30)
    assert ended["status"] == "cancelled"
    assert ended["usage"]["completion_tokens"] < 4000
    after_the_end = live_server.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert after_the_end.status_code == 200
    assert live_server.job(job["id"]) == ended


def test_cancelling_a_completed_job_is_a_409(live_server: LiveServer, finished: dict[str, Any]) -> None:
    response = live_server.http.post(f"/v1/jobs/{finished['id']}/cancel")
    assert (response.status_code, response.headers["x-should-retry"]) == (409, "false")
    assert response.json()["error"]["code"] == "job_already_ended"


def test_job_expires_when_its_time_is_up(live_server: LiveServer) -> None:
    job = live_server.submit(prompt=COUNTING, max_tokens=8000, expires_in_seconds=1)
    ended = live_server.job(job["id"], wait=30)
    assert ended["status"] == "expired"
    assert ended["error"]["code"]


def test_list_is_paged_by_cursor_in_both_orders(live_server: LiveServer) -> None:
    team = uuid4().hex
    ids = [live_server.submit(prompt="x", max_tokens=1, metadata={"team": team})["id"] for _ in range(5)]
    query: dict[str, Any] = {"metadata[team]": team, "limit": 2}
    for order, expected in (("asc", ids), ("desc", ids[::-1])):
        seen: list[str] = []
        page = live_server.http.get("/v1/jobs", params=query | {"order": order}).json()
        seen += [job["id"] for job in page["data"]]
        while page["has_more"]:
            after = {"order": order, "after": page["last_id"]}
            page = live_server.http.get("/v1/jobs", params=query | after).json()
            seen += [job["id"] for job in page["data"]]
        assert seen == expected
    back = live_server.http.get("/v1/jobs", params=query | {"order": "asc", "before": ids[3]}).json()
    assert [job["id"] for job in back["data"]] == ids[1:3]


def test_list_is_filtered(live_server: LiveServer, finished: dict[str, Any]) -> None:
    def ids(**query: Any) -> set[str]:
        jobs = live_server.http.get("/v1/jobs", params={"limit": 100, **query}).json()["data"]
        return {job["id"] for job in jobs}

    assert finished["id"] in ids(status="completed", model=finished["model"])
    assert finished["id"] not in ids(status="failed")
    assert finished["id"] in ids(created_after=finished["created_at"])
    assert finished["id"] not in ids(created_after=finished["created_at"] + 3600)
    assert finished["id"] not in ids(created_before=finished["created_at"] - 1)
    assert finished["id"] not in ids(**{"metadata[nobody]": "has this"})


def test_another_projects_job_is_not_there(
    live_server: LiveServer, finished: dict[str, Any], other_client: httpx.Client
) -> None:
    path = f"/v1/jobs/{finished['id']}"
    missing = other_client.get("/v1/jobs/job_0")
    for response in (other_client.get(path), other_client.post(f"{path}/cancel")):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == missing.json()["error"]["code"] == "job_not_found"
    assert other_client.get("/v1/jobs").json()["data"] == []
    assert other_client.get("/v1/jobs", params={"after": finished["id"]}).status_code == 400


def test_openai_client_lists_the_models(live_server: LiveServer) -> None:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=live_server.key) as client:
        names = [model.id for model in client.models.list()]
        assert client.models.retrieve("smollm2").id in names
        with pytest.raises(openai.NotFoundError) as missing:
            client.models.retrieve("gpt-9")
    assert missing.value.code == "model_not_found"


def test_platform_says_that_it_is_ready(live_server: LiveServer) -> None:
    body = live_server.http.get("/readyz").json()
    assert body["ready"] is True
    assert {"database", "broker"} < set(body["checks"])
    assert live_server.http.get("/healthz").json() == {"status": "ok"}


def test_documentation_is_served(live_server: LiveServer) -> None:
    assert live_server.http.get("/openapi.json").json()["openapi"].startswith("3.1")
    page = live_server.http.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert "swagger-ui-bundle.js" in page.text


def test_no_prompt_no_output_and_no_key_is_ever_logged(live_server: LiveServer) -> None:
    secret = uuid4().hex
    job = live_server.submit(prompt=f"{secret} {COUNTING}", max_tokens=24, metadata={"note": secret})
    output = live_server.ended(job["id"])["output"]["text"]
    live_server.http.post("/v1/jobs", json={"type": "chat", "model": secret, "prompt": secret})
    log = live_server.log
    assert '"route": "/v1/jobs"' in log
    assert '"level": "debug"' in log
    assert secret not in log
    assert len(output) > 20
    assert json.dumps(output).strip('"') not in log
    assert live_server.key not in log

"""Limits over HTTP: what clients are told, and what owners may change."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tasks import admin_keys, limit_book, projects, rate_limits
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tasks.keys import Principal
from tests.integration.tasks.batch_work import one
from tests.integration.tasks.conftest import MODEL
from tests.integration.web.conftest import Api

JOB = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8}
TOKENS = 10


@pytest.fixture
def limited(principal: Principal) -> Callable[..., None]:
    """Change the limits of the shared project's model."""

    def change(**amounts: int | None) -> None:
        rate_limits.update_rate_limit(OPERATOR, principal.project_id, f"rl-{MODEL}", amounts)
        limit_book._cache.clear()

    return change


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_answer_says_where_the_tightest_limits_stand(api: Api, limited: Callable[..., None]) -> None:
    limited(tokens_per_minute=25, requests_per_minute=2)
    answer = api.http.post("/v1/jobs", json=JOB)
    assert answer.status_code == 202
    assert answer.headers["x-ratelimit-limit-tokens"] == "25"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "15"
    assert answer.headers["x-ratelimit-reset-tokens"] in {"1m0s", "59s", "58s"}
    assert answer.headers["x-ratelimit-limit-requests"] == "2"
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"


def test_refused_job_is_told_which_limit_and_when_and_leaves_nothing(
    api: Api, limited: Callable[..., None]
) -> None:
    limited(tokens_per_minute=TOKENS)
    assert api.http.post("/v1/jobs", json=JOB).status_code == 202
    for path, body in (
        ("/v1/jobs", JOB),
        ("/v1/completions", {"model": MODEL, "prompt": "Once upon", "max_tokens": 8}),
        ("/v1/completions", {"model": MODEL, "prompt": "Once upon", "max_tokens": 8, "stream": True}),
    ):
        answer = api.http.post(path, json=body)
        assert answer.status_code == 429
        error = error_of(answer)
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert "10 tokens per minute of the model" in error["message"]
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert "x-should-retry" not in answer.headers
        assert answer.headers["x-ratelimit-remaining-tokens"] == "0"
    assert one("SELECT count(*) FROM jobs") == 1


def test_job_that_never_fits_is_not_to_be_sent_again(api: Api, limited: Callable[..., None]) -> None:
    limited(tokens_per_minute=TOKENS)
    answer = api.http.post("/v1/jobs", json=JOB | {"max_tokens": 100})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
    assert "Retry-After" not in answer.headers


def test_job_over_the_cap_is_told_to_come_again(api: Api, limited: Callable[..., None]) -> None:
    limited(concurrent_jobs=1)
    assert api.http.post("/v1/jobs", json=JOB).status_code == 202
    answer = api.http.post("/v1/jobs", json=JOB)
    assert (answer.status_code, error_of(answer)["code"]) == (429, "rate_limit_exceeded")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.fixture
def admin(api: Api) -> httpx.Client:
    """The shared client, with an admin key."""
    _, secret = admin_keys.create_admin_key(OPERATOR, "tests")
    api.http.headers["Authorization"] = f"Bearer {secret}"
    return api.http


def test_rate_limits_are_listed_in_pages(admin: httpx.Client) -> None:
    path = f"/v1/organization/projects/{projects.create_project('acme').id}/rate_limits"
    every = admin.get(path).json()
    ids = [limit["id"] for limit in every["data"]]
    assert (ids[0], every["has_more"]) == ("rl-*", False)
    assert {f"rl-{MODEL}", f"rl-{MODEL}:flex", f"rl-{MODEL}:priority"} <= set(ids)
    first = admin.get(f"{path}?limit=2").json()
    assert ([limit["id"] for limit in first["data"]], first["has_more"]) == (ids[:2], True)
    rest = admin.get(path, params={"after": ids[1]}).json()
    assert [limit["id"] for limit in rest["data"]] == ids[2:]
    before = admin.get(path, params={"before": ids[3], "limit": 2}).json()
    assert ([limit["id"] for limit in before["data"]], before["has_more"]) == (ids[1:3], True)


def test_change_is_shown_kept_and_audited(admin: httpx.Client) -> None:
    project = projects.create_project("acme").id
    path = f"/v1/organization/projects/{project}/rate_limits"
    asked = {"max_requests_per_1_minute": 5, "batch_1_day_max_input_tokens": 1000, "max_concurrent_jobs": 2}
    changed = admin.post(f"{path}/rl-{MODEL}", json=asked)
    assert changed.status_code == 200
    assert asked.items() <= changed.json().items()
    other = admin.post(f"{path}/rl-{MODEL}", json={"max_requests_per_1_minute": None}).json()
    assert (other["max_requests_per_1_minute"], other["max_concurrent_jobs"]) == (0, 2)
    assert other in admin.get(path).json()["data"]
    newest = admin.get("/v1/organization/audit_logs?event_types[]=rate_limit.updated").json()["data"]
    assert len(newest) == 2
    assert newest[1]["rate_limit.updated"] == {
        "id": f"rl-{MODEL}",
        "changes_requested": {"requests_per_minute": 5, "queued_batch_tokens": 1000, "concurrent_jobs": 2},
    }


def test_change_that_makes_no_sense_is_refused(admin: httpx.Client) -> None:
    project = projects.create_project("acme").id
    path = f"/v1/organization/projects/{project}/rate_limits"
    for body, param in (
        ({"max_requests_per_1_minute": -1}, "max_requests_per_1_minute"),
        ({"max_requests_per_1_minute": 2**31}, "max_requests_per_1_minute"),
        ({"max_tokens_per_1_minute": "many"}, "max_tokens_per_1_minute"),
        ({"max_images_per_1_minute": 1}, "max_images_per_1_minute"),
        ({"max_words": 1}, "max_words"),
    ):
        answer = admin.post(f"{path}/rl-{MODEL}", json=body)
        assert (answer.status_code, error_of(answer)["param"]) == (400, param)
    for name in ("rl-unknown", f"rl-{MODEL}:batch", "%00", MODEL):
        answer = admin.post(f"{path}/{name}", json={})
        assert (answer.status_code, error_of(answer)["code"]) == (404, "rate_limit_not_found")
    projects.archive_project(OPERATOR, project)
    assert admin.post(f"{path}/rl-{MODEL}", json={}).status_code == 409


def test_another_organizations_limits_are_not_found(admin: httpx.Client) -> None:
    with transaction() as connection:
        connection.exec_driver_sql("INSERT INTO organizations (id, name) VALUES ('org_2', 'other')")
    project = projects.create_project("theirs", actor=Actor(kind="cli", organization_id="org_2")).id
    path = f"/v1/organization/projects/{project}/rate_limits"
    assert admin.get(path).status_code == 404
    assert admin.post(f"{path}/rl-{MODEL}", json={"max_requests_per_1_minute": 1}).status_code == 404

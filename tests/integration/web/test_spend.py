"""Usage, costs, spend limits and alerts over HTTP: what is refused, what is noted, and what holds."""

from typing import Any

import httpx
import pytest

from tasks import projects
from tests.integration.web.conftest import Api
from tests.integration.web.test_organization import admin, error_of

__all__ = ["admin"]

MONEY: dict[str, Any] = {"currency": "USD", "interval": "month"}
ALERT: dict[str, Any] = MONEY | {
    "threshold_amount": 8000,
    "notification_channel": {"type": "email", "recipients": ["a@example.com"]},
}


@pytest.mark.parametrize("scope", ["organization", "project"])
def test_spend_limit_is_set_held_to_removed_and_on_the_record(admin: httpx.Client, scope: str) -> None:
    project = projects.list_projects()[0].id
    base = f"/v1/organization{'' if scope == 'organization' else f'/projects/{project}'}/spend_limit"
    missing = admin.get(base)
    assert (missing.status_code, error_of(missing)["code"]) == (404, "budget_not_found")
    assert admin.delete(base).status_code == 404
    made = admin.post(base, json=MONEY | {"threshold_amount": 1050}).json()
    assert made == {
        "object": f"{scope}.spend_limit",
        "currency": "USD",
        "interval": "month",
        "threshold_amount": 1050,
        "enforcement": {"status": "inactive"},
    }
    used_up = admin.post(base, json=MONEY | {"threshold_amount": 0}).json()
    assert used_up["enforcement"] == {"status": "enforcing"}
    assert admin.get(base).json() == used_up
    assert admin.delete(base).json() == {"object": f"{scope}.spend_limit.deleted", "deleted": True}
    assert admin.get(base).status_code == 404
    logged = admin.get("/v1/organization/audit_logs").json()["data"]
    assert [entry["type"] for entry in logged[:3]] == [
        "spend_limit.deleted",
        "spend_limit.updated",
        "spend_limit.updated",
    ]
    assert logged[2]["spend_limit.updated"]["changes_requested"] == {"threshold_usd": "10.5"}


def test_spend_limit_refuses_what_it_does_not_cover(api: Api, secret: str, admin: httpx.Client) -> None:
    admin.post("/v1/organization/spend_limit", json=MONEY | {"threshold_amount": 0})
    job = {"type": "completion", "model": "smollm2-135m-instruct", "prompt": "a", "max_tokens": 4}
    refused = admin.post("/v1/jobs", json=job, headers={"Authorization": f"Bearer {secret}"})
    assert (refused.status_code, error_of(refused)["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize("scope", ["organization", "project"])
def test_spend_alert_lives_from_creation_to_removal(admin: httpx.Client, scope: str) -> None:
    project = projects.list_projects()[0].id
    base = f"/v1/organization{'' if scope == 'organization' else f'/projects/{project}'}/spend_alerts"
    made = admin.post(base, json=ALERT).json()
    assert (made["object"], made["threshold_amount"]) == (f"{scope}.spend_alert", 8000)
    place = f"{base}/{made['id']}"
    assert admin.get(place).json() == made
    changed = admin.post(place, json=ALERT | {"threshold_amount": 1}).json()
    assert changed == made | {"threshold_amount": 1}
    assert admin.get(base).json()["data"] == [changed]
    assert admin.delete(place).json()["deleted"] is True
    for gone in (admin.get(place), admin.post(place, json=ALERT), admin.delete(place)):
        assert (gone.status_code, error_of(gone)["code"]) == (404, "alert_not_found")
    logged = admin.get("/v1/organization/audit_logs").json()["data"]
    assert [entry["type"] for entry in logged[:3]] == [
        "spend_alert.deleted",
        "spend_alert.updated",
        "spend_alert.created",
    ]


def test_wrong_field_of_a_limit_or_an_alert_is_named(admin: httpx.Client) -> None:
    channel = ALERT["notification_channel"]
    for path, body, param in (
        ("spend_limit", MONEY, "threshold_amount"),
        ("spend_limit", MONEY | {"threshold_amount": -1}, "threshold_amount"),
        ("spend_limit", MONEY | {"threshold_amount": 10**14}, "threshold_amount"),
        ("spend_limit", MONEY | {"threshold_amount": 1, "currency": "EUR"}, "currency"),
        ("spend_alerts", ALERT | {"threshold_amount": 0}, "threshold_amount"),
        ("spend_alerts", ALERT | {"interval": "day"}, "interval"),
        (
            "spend_alerts",
            ALERT | {"notification_channel": channel | {"recipients": []}},
            "notification_channel.recipients",
        ),
        ("spend_alerts", ALERT | {"notification_channel": channel | {"recipients": ["é@x"]}}, "recipients"),
    ):
        answer = admin.post(f"/v1/organization/{path}", json=body)
        assert (answer.status_code, error_of(answer)["param"]) == (400, param), body
    assert admin.post("/v1/organization/projects/proj_x/spend_alerts", json=ALERT).status_code == 404
    assert admin.get("/v1/organization/projects/proj_x/spend_limit").status_code == 404


def test_archived_projects_limit_is_read_but_not_changed(admin: httpx.Client) -> None:
    base = f"/v1/organization/projects/{projects.create_project('old').id}"
    limit = MONEY | {"threshold_amount": 5}
    admin.post(f"{base}/spend_limit", json=limit)
    admin.post(f"{base}/archive")
    assert admin.get(f"{base}/spend_limit").json()["threshold_amount"] == 5
    assert admin.post(f"{base}/spend_limit", json=limit).status_code == 409
    assert admin.post(f"{base}/spend_alerts", json=ALERT).status_code == 409


def test_wrong_parameter_of_usage_or_costs_is_named(admin: httpx.Client) -> None:
    for query, param in (
        ("usage/completions", "start_time"),
        ("usage/completions?start_time=-1", "start_time"),
        ("usage/completions?start_time=5&end_time=5", "end_time"),
        ("usage/completions?start_time=99999999999", "start_time"),
        ("usage/completions?start_time=0&bucket_width=1w", "bucket_width"),
        ("usage/completions?start_time=0&limit=32", "limit"),
        ("usage/completions?start_time=0&bucket_width=1h&limit=169", "limit"),
        ("usage/completions?start_time=0&bucket_width=1m&limit=1441", "limit"),
        ("usage/completions?start_time=0&page=page_7", "page"),
        ("usage/completions?start_time=0&group_by[]=colour", "group_by[0]"),
        ("usage/embeddings?start_time=0&group_by[]=batch", "group_by[0]"),
        ("costs?start_time=0&bucket_width=1h", "bucket_width"),
        ("costs?start_time=0&limit=181", "limit"),
        ("costs?start_time=0&models[]=m", "models"),
    ):
        answer = admin.get(f"/v1/organization/{query}")
        assert (answer.status_code, error_of(answer)["param"]) == (400, param), query
    last = admin.get("/v1/organization/costs?start_time=253402300798&end_time=253402300799")
    assert (last.status_code, last.json()["data"][0]["results"]) == (200, [])


def test_usage_of_what_there_is_not_here_says_so(admin: httpx.Client) -> None:
    for name in ("images", "audio_speeches", "vector_stores", "moderations", "web_search_calls"):
        answer = admin.get(f"/v1/organization/usage/{name}?start_time=0")
        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_supported_here")

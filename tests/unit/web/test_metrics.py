"""What web counts of its requests, and who is told."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks import errors
from tests.unit.tasks.metrics.samples import Page, growth, page
from tests.unit.web.conftest import AUTHORIZED, MakeApp


def scrape(client: FlaskClient, address: str = "127.0.0.1", **headers: str) -> Any:
    return client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}, headers=headers)


def test_request_counts_by_route_method_and_status(client: FlaskClient) -> None:
    with growth() as grown:
        client.get("/healthz", buffered=True)
        client.get("/v1/jobs/job_1", buffered=True)
    assert grown.of("http_requests_total", route="/healthz", method="GET", status="200") == 1
    assert grown.of("http_requests_total", route="/v1/jobs/<id:job_id>", method="GET", status="401") == 1
    assert grown.of("http_request_seconds_count", route="/healthz") == 1
    assert grown.of("http_requests_running") == 0


def test_request_that_is_being_answered_is_running(client: FlaskClient) -> None:
    before = page().of("http_requests_running")
    found = Page.parse(scrape(client).text)
    assert found.of("http_requests_running") == before + 1


def test_hostile_paths_methods_and_ids_add_no_series(client: FlaskClient) -> None:
    def visit(number: int) -> None:
        client.get(f'/nowhere-{number}/"}}\n', buffered=True)
        client.get(f"/v1/jobs/job_{number}", buffered=True)
        client.open("/healthz", method=f"BREW{number}", buffered=True)
        client.get("/healthz", environ_overrides={"HTTP_X_CLIENT_REQUEST_ID": f"é{number}"}, buffered=True)

    visit(0)
    before = set(page().values)
    for number in range(1, 40):
        visit(number)
    assert set(page().values) == before


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (errors.InsufficientQuota(), "budget"),
        (errors.TooManyJobs(), "jobs"),
        (errors.TooManyQueuedTokens(), "tokens"),
        (errors.RateLimitReached(()), "requests"),
    ],
)
def test_refusal_for_want_of_room_counts_by_what_was_full(
    make_app: MakeApp, error: errors.TokenmillError, limit: str
) -> None:
    app = make_app()

    def fail() -> None:
        raise error

    app.add_url_rule("/fail", "health.fail", fail)
    with growth() as grown:
        app.test_client().get("/fail")
    assert grown.of("limit_refusals_total", limit=limit) == 1


def test_refused_request_of_a_key_without_any_left_counts(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=1).test_client()
    with growth() as grown:
        for _ in range(3):
            client.get("/v1/models", headers=AUTHORIZED)
    assert grown.of("limit_refusals_total", limit="requests") == 2


def test_other_refusals_are_no_want_of_room(client: FlaskClient) -> None:
    with growth() as grown:
        client.get("/v1/models")
    limits = grown.after.labels_of("limit_refusals_total", "limit")
    assert limits == {"requests", "tokens", "jobs", "budget", "queue_age"}
    assert not any(grown.of("limit_refusals_total", limit=limit) for limit in limits)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.3.2.1", "::ffff:192.168.1.4", "fd00::1"])
def test_private_networks_are_told_without_a_key(client: FlaskClient, address: str) -> None:
    answer = scrape(client, address)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "tokenmill_http_requests_total" in Page.parse(answer.text).families


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "8.8.8.8"])
def test_others_are_told_that_there_is_nothing(client: FlaskClient, address: str) -> None:
    answer = scrape(client, address)
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_proxy_that_nobody_trusts_is_no_way_in(client: FlaskClient, header: str) -> None:
    assert scrape(client, "10.0.0.2", **{header: "127.0.0.1"}).status_code == 404


def test_behind_a_trusted_proxy_the_client_counts(make_app: MakeApp) -> None:
    client = make_app(trusted_proxies="10.0.0.2").test_client()
    assert scrape(client, "10.0.0.2", **{"X-Forwarded-For": "203.0.113.9"}).status_code == 404
    assert scrape(client, "10.0.0.2", **{"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}).status_code == 404
    assert scrape(client, "10.0.0.2", **{"X-Forwarded-For": "10.0.0.7"}).status_code == 200


def test_operator_names_who_is_told(make_app: MakeApp) -> None:
    client = make_app(metrics_networks="203.0.113.0/24").test_client()
    assert scrape(client, "203.0.113.9").status_code == 200
    assert scrape(client).status_code == 404
    assert scrape(make_app(metrics_networks="").test_client()).status_code == 404

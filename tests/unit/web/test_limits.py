import socket
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks.limit_counters import LimitCounters
from tests.unit.web.conftest import AUTHORIZED, KEY, MakeApp


def get(client: FlaskClient, key: str = KEY) -> tuple[int, dict[str, str]]:
    response = client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
    return response.status_code, {name.lower(): value for name, value in response.headers}


def test_headers_count_down_and_the_request_over_the_limit_is_a_429(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=2).test_client()
    status, headers = get(client)
    assert (status, headers["x-ratelimit-limit-requests"]) == (200, "2")
    assert headers["x-ratelimit-remaining-requests"] == "1"
    assert headers["x-ratelimit-reset-requests"] in {"1m0s", "59s"}
    assert "retry-after" not in headers
    get(client)
    response = client.get("/v1/models", headers=AUTHORIZED)
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    error = response.get_json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "x-should-retry" not in response.headers


def test_limit_is_shared_by_all_routes_and_not_by_other_keys(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=1).test_client()
    assert get(client)[0] == 200
    assert client.post("/v1/jobs", headers=AUTHORIZED).status_code == 429
    assert get(client, f"{KEY}-other")[0] == 200


def test_health_is_never_limited(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=1).test_client()
    assert {client.get("/healthz").status_code for _ in range(3)} == {200}


def test_wrong_key_is_told_so_and_not_counted(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=1).test_client()
    assert {get(client, "wrong")[0] for _ in range(3)} == {401}


def test_limit_can_be_switched_off(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=0).test_client()
    status, headers = get(client)
    assert status == 200
    assert "x-ratelimit-limit-requests" not in headers


def test_redis_that_is_away_costs_no_request_and_limits_still_hold(make_app: MakeApp) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        client = make_app(requests_per_minute=3, redis_url=url).test_client()
        assert [get(client)[0] for _ in range(5)] == [200, 200, 200, 429, 429]


def test_redis_that_never_answers_slows_only_the_first_requests(make_app: MakeApp) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        client = make_app(requests_per_minute=100, redis_url=url).test_client()
        get(client)
        started = time.perf_counter()
        for _ in range(20):
            assert get(client)[0] == 200
        assert time.perf_counter() - started < 1.5


def test_limits_that_need_redis_refuse_without_it_where_so_configured(make_app: MakeApp) -> None:
    url = "redis://127.0.0.1:1/0"
    client = make_app(redis_url=url, limits_when_redis_is_away="closed").test_client()
    for _ in range(3):
        response = client.get("/v1/models", headers=AUTHORIZED)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "2"
        error = response.get_json()["error"]
        assert (error["type"], error["code"]) == ("service_unavailable", "limits_unavailable")
    assert client.get("/healthz").status_code == 200


def test_requests_per_day_are_limited_too(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=100, key_limits='{"requests_per_day": 2}').test_client()
    assert [get(client)[0] for _ in range(3)] == [200, 200, 429]
    status, headers = get(client)
    assert (status, headers["x-ratelimit-limit-requests"]) == (429, "2")
    # A client that is told a day would never come back by itself.
    assert headers["retry-after"] == "120"


def test_refusal_names_the_limit(make_app: MakeApp) -> None:
    client = make_app(requests_per_minute=1).test_client()
    get(client)
    error = client.get("/v1/models", headers=AUTHORIZED).get_json()["error"]
    assert error["message"].startswith("The limit of 1 requests per minute of this API key is reached")


def test_reading_shows_where_tokens_stand_and_takes_none(make_app: MakeApp) -> None:
    client = make_app(tokens_per_minute=500).test_client()
    for _ in range(2):
        headers = get(client)[1]
        assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == (
            "500",
            "500",
        )


def test_all_counters_of_a_request_are_read_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_app().test_client()
    calls = []
    take = LimitCounters.take

    def counted(self: LimitCounters, *arguments: Any) -> Any:
        calls.append(arguments)
        return take(self, *arguments)

    monkeypatch.setattr(LimitCounters, "take", counted)
    assert get(client)[0] == 200
    assert len(calls) == 1

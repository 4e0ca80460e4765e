from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks import errors
from tasks.backpressure import QueueFull
from tests.unit.web.conftest import AUTHORIZED, MakeApp
from web.requests import RequestTooSlow

KEYS = {"message", "type", "param", "code"}


def app_that_raises(make_app: MakeApp, error: Exception) -> FlaskClient:
    app: Flask = make_app()

    def fail() -> None:
        raise error

    app.add_url_rule("/fail", "health.fail", fail)
    return app.test_client()


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (errors.InvalidRequest(param="x"), 400, "invalid_request_error", "invalid_value"),
        (errors.ContextLengthExceeded(), 400, "invalid_request_error", "context_length_exceeded"),
        (errors.AuthenticationFailed(), 401, "authentication_error", "invalid_api_key"),
        (errors.PermissionDenied(), 403, "permission_error", "insufficient_scope"),
        (errors.ModelNotAllowed(), 403, "permission_error", "model_not_allowed"),
        (errors.UnknownModelRequested(), 404, "invalid_request_error", "model_not_found"),
        (errors.JobNotFound(), 404, "invalid_request_error", "job_not_found"),
        (errors.JobAlreadyEnded(), 409, "invalid_request_error", "job_already_ended"),
        (errors.IdempotencyKeyReused(), 409, "invalid_request_error", "idempotency_key_reused"),
        (errors.InsufficientQuota(), 429, "insufficient_quota", "insufficient_quota"),
        (errors.DatabaseUnavailable(), 503, "service_unavailable", "database_unavailable"),
        (QueueFull("full", 7), 503, "service_unavailable", "queue_full"),
        (RequestTooSlow(), 408, "invalid_request_error", "request_timeout"),
        (errors.SchemaOutdated(), 503, "service_unavailable", "schema_outdated"),
        (errors.TokenmillError(), 500, "server_error", "internal_error"),
        (RuntimeError("the prompt was: squirrel"), 500, "server_error", "internal_error"),
    ],
)
def test_exception_becomes_its_status_and_a_body_with_all_four_keys(
    make_app: MakeApp, error: Exception, status: int, kind: str, code: str
) -> None:
    response = app_that_raises(make_app, error).get("/fail")
    body: dict[str, Any] = response.get_json()["error"]
    assert (response.status_code, body["type"], body["code"]) == (status, kind, code)
    assert set(body) == KEYS
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "error", [errors.JobAlreadyEnded(), errors.IdempotencyKeyReused(), errors.InsufficientQuota()]
)
def test_client_is_told_not_to_retry_what_retrying_cannot_mend(
    make_app: MakeApp, error: errors.TokenmillError
) -> None:
    assert app_that_raises(make_app, error).get("/fail").headers["x-should-retry"] == "false"


def test_outage_tells_when_to_come_back(make_app: MakeApp) -> None:
    response = app_that_raises(make_app, errors.DatabaseUnavailable()).get("/fail")
    assert int(response.headers["Retry-After"]) >= 1
    assert "x-should-retry" not in response.headers


def test_full_queue_tells_when_to_come_back_by_its_own_pace(make_app: MakeApp) -> None:
    response = app_that_raises(make_app, QueueFull("full", 7)).get("/fail")
    assert response.headers["Retry-After"] == "7"
    assert "x-should-retry" not in response.headers


def test_unexpected_failure_names_the_request_and_neither_tells_nor_logs_what_it_was_about(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    error = RuntimeError("squirrel")
    error.__cause__ = ValueError("squirrel")
    response = app_that_raises(make_app, error).get("/fail")
    assert response.headers["x-request-id"] in response.get_json()["error"]["message"]
    seen = response.get_data(as_text=True) + caplog.text + "".join(capsys.readouterr())
    assert "squirrel" not in seen
    assert "builtins.ValueError" in seen


def test_unknown_address_is_a_structured_404(client: FlaskClient) -> None:
    response = client.get("/v2/jobs")
    assert response.status_code == 404
    assert response.get_json()["error"] == {
        "message": "There is nothing at this address.",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }


def test_wrong_method_is_a_structured_405_that_names_the_right_ones(client: FlaskClient) -> None:
    response = client.delete("/v1/jobs", headers=AUTHORIZED)
    assert response.status_code == 405
    assert {"GET", "POST"} <= {method.strip() for method in response.headers["Allow"].split(",")}
    assert response.get_json()["error"]["code"] == "method_not_allowed"


def test_redirect_stays_a_redirect(client: FlaskClient) -> None:
    response = client.get("/docs")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/docs/")

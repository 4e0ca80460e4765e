import pytest
import structlog
from flask import Response
from flask.testing import FlaskClient

from tests.unit.web.conftest import AUTHORIZED, MakeApp


def test_every_request_has_an_id_of_its_own_and_a_time(client: FlaskClient) -> None:
    first, second = client.get("/healthz"), client.get("/nowhere")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert int(first.headers["openai-processing-ms"]) >= 0


def test_id_sent_by_a_client_is_not_taken_for_ours(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"x-request-id": "mine"}).headers["x-request-id"] != "mine"


def test_security_headers_are_on_every_answer(client: FlaskClient) -> None:
    for path in ("/healthz", "/nowhere", "/docs/"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("value", ["é", "x" * 513, "a\x1b[31m"])
def test_unfit_client_request_id_is_refused(client: FlaskClient, value: str) -> None:
    response = client.get("/healthz", environ_overrides={"HTTP_X_CLIENT_REQUEST_ID": value})
    assert response.status_code == 400
    assert response.get_json()["error"]["param"] == "X-Client-Request-Id"
    assert response.headers["x-request-id"]


def test_request_is_logged_by_route_and_never_by_content(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web import requests

    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        monkeypatch.setattr(requests, "log", structlog.get_logger())
        client.post(
            "/v1/jobs?note=squirrel",
            json={"prompt": "squirrel"},
            headers={**AUTHORIZED, "X-Client-Request-Id": "mine-1"},
        )
        client.get("/v1/jobs/nope/squirrel")
    first, second = lines
    assert first["action"] == "request"
    assert (first["method"], first["route"], first["status"]) == ("POST", "/v1/jobs", 400)
    assert (first["project_id"], first["client_request_id"]) == ("proj_1", "mine-1")
    assert first["request_id"].startswith("req_")
    assert 0 <= first["duration_ms"] < 60_000
    assert "client_request_id" not in second
    assert second["route"] is None
    assert "squirrel" not in repr(lines)
    assert "tm-valid" not in repr(lines)


def test_line_of_a_stream_comes_when_its_client_has_had_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web import requests

    app = make_app()
    app.add_url_rule("/stream/<job_id>", "health.stream", lambda job_id: Response(iter(["a", "b"])))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        monkeypatch.setattr(requests, "log", structlog.get_logger())
        response = app.test_client().get("/stream/job_1", buffered=False)
        assert lines == []
        assert response.get_data() == b"ab"
        response.close()
    (line,) = lines
    assert (line["route"], line["job_id"], line["status"]) == ("/stream/<job_id>", "job_1", 200)

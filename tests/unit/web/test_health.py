import pytest
from flask.testing import FlaskClient

from tasks import readiness
from tasks.readiness import Check, Readiness


def test_process_is_healthy_whatever_is_missing_around_it(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "readiness", lambda: Readiness(False, {"database": Check(False)}))
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_ready_platform_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "readiness", lambda: Readiness(True, {"database": Check(True)}))
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.get_json() == {
        "ready": True,
        "not_ready": [],
        "checks": {"database": {"ok": True, "detail": None}},
    }


def test_what_is_missing_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {"database": Check(True), "broker": Check(False, "refused"), "worker:m": Check(False, "none")}
    monkeypatch.setattr(readiness, "readiness", lambda: Readiness(False, checks))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.get_json()["not_ready"] == ["broker", "worker:m"]

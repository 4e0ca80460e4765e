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
        "degraded": [],
        "checks": {"database": {"ok": True, "detail": None, "required": True}},
    }


def test_what_is_missing_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {"database": Check(True), "broker": Check(False, "refused"), "worker:m": Check(False, "none")}
    monkeypatch.setattr(readiness, "readiness", lambda: Readiness(False, checks))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.get_json()["not_ready"] == ["broker", "worker:m"]


def test_what_work_goes_on_without_is_named_apart(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {"database": Check(True), "storage": Check(False, "away", required=False)}
    monkeypatch.setattr(readiness, "readiness", lambda: Readiness(True, checks))
    response = client.get("/readyz")
    assert response.status_code == 200
    assert (response.get_json()["not_ready"], response.get_json()["degraded"]) == ([], ["storage"])

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tasks import keys
from tasks.keys import Principal
from tasks.roles import Role
from tests.unit.web.conftest import AUTHORIZED, KEY
from web.commands.users import ROLES


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer wrong"},
        {"api-key": KEY},
    ],
)
def test_request_without_a_valid_key_is_a_structured_401(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    response = client.get("/v1/models", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.get_json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_scheme_may_be_written_in_any_case(client: FlaskClient, scheme: str) -> None:
    assert client.get("/v1/models", headers={"Authorization": f"{scheme} {KEY}"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/docs/", "/docs/swagger-ui.css"])
def test_health_and_documentation_need_no_key(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        assert response.status_code == 200


def test_every_route_of_the_api_needs_a_key(client: FlaskClient) -> None:
    for rule in client.application.url_map.iter_rules():
        if rule.rule.startswith("/v1/"):
            path = re.sub(r"<[^>]+>", "x", rule.rule)
            for method in (rule.methods or set()) - {"OPTIONS"}:
                assert client.open(path, method=method).status_code == 401, (method, path)


def test_key_is_accepted(client: FlaskClient) -> None:
    assert client.get("/v1/models", headers=AUTHORIZED).status_code == 200


@pytest.fixture
def with_scopes(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """The client of a key that is good for no more than these."""

    def make(*scopes: str) -> FlaskClient:
        monkeypatch.setattr(keys, "authenticate", lambda _: Principal("proj_1", "key_1", frozenset(scopes)))
        return client

    return make


def test_a_key_without_the_scope_to_write_only_reads(with_scopes: Callable[..., FlaskClient]) -> None:
    client = with_scopes("read")
    assert client.get("/v1/models", headers=AUTHORIZED).status_code == 200
    assert client.head("/v1/models", headers=AUTHORIZED).status_code == 200
    refused = client.post("/v1/jobs", json={}, headers=AUTHORIZED)
    error = refused.get_json()["error"]
    assert (refused.status_code, error["type"]) == (403, "permission_error")
    assert error["code"] == "insufficient_scope"
    assert "`jobs:write`" in error["message"]


def test_a_key_without_the_scope_to_read_only_writes(with_scopes: Callable[..., FlaskClient]) -> None:
    client = with_scopes("write")
    assert client.get("/v1/models", headers=AUTHORIZED).status_code == 403
    assert client.post("/v1/jobs", json={}, headers=AUTHORIZED).status_code == 400


def test_every_route_that_changes_something_needs_the_scope_to_write(
    with_scopes: Callable[..., FlaskClient],
) -> None:
    client = with_scopes("read")
    for rule in client.application.url_map.iter_rules():
        if rule.rule.startswith("/v1/"):
            path = re.sub(r"<(?:\w+:)?\w+>", "x_1", rule.rule)
            for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                refused = client.open(path, method=method, headers=AUTHORIZED)
                assert refused.status_code in {403, 404}, (method, path)


def test_health_and_documentation_need_no_scope(with_scopes: Callable[..., FlaskClient]) -> None:
    assert with_scopes().get("/healthz").status_code == 200
    assert with_scopes().get("/openapi.json").status_code == 200


def test_the_admin_plane_takes_no_project_key_and_tells_strangers_nothing(client: FlaskClient) -> None:
    known = client.get("/v1/organization/projects", headers=AUTHORIZED)
    assert (known.status_code, known.get_json()["error"]["code"]) == (403, "admin_key_required")
    stranger = client.get("/v1/organization/projects", headers={"Authorization": "Bearer wrong"})
    assert (stranger.status_code, stranger.get_json()["error"]["code"]) == (401, "invalid_api_key")


def test_roles_of_the_commands_are_those_there_are() -> None:
    assert tuple(Role) == ROLES

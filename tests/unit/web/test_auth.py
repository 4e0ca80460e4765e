import re

import pytest
from flask.testing import FlaskClient

from tests.unit.web.conftest import AUTHORIZED, KEY


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

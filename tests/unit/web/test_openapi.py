import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_route_of_the_api_is_documented(client: FlaskClient, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/v1/") and method not in {"HEAD", "OPTIONS"}
    }
    documented = {(path, method) for path, item in document["paths"].items() for method in item}
    assert routes <= documented
    assert {("/healthz", "get"), ("/readyz", "get")} <= documented


def test_every_operation_has_a_name_a_summary_and_its_refusals(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation.get("security") == [] or "401" in operation["responses"]


def test_body_of_a_job_is_described_field_by_field(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"]["discriminator"]["propertyName"] == "type"
    chat = document["components"]["schemas"]["ChatJobRequest"]
    assert chat["additionalProperties"] is False
    assert {"type", "model", "messages"} == set(chat["required"])
    assert chat["properties"]["temperature"]["maximum"] == 2


def test_query_parameters_are_described(document: dict[str, Any]) -> None:
    names = [parameter["name"] for parameter in document["paths"]["/v1/jobs"]["get"]["parameters"]]
    assert {"limit", "after", "before", "order", "status", "model", "metadata"} <= set(names)

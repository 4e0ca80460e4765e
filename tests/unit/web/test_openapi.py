import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from web.errors import _ANSWERS

NOBODY_READS = 499


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
        assert "500" in operation["responses"]
        if operation.get("security") != []:
            assert {"401", "403", "429"} <= set(operation["responses"])


def test_every_status_that_is_answered_with_an_error_is_explained(document: dict[str, Any]) -> None:
    explained = set(document["components"]["responses"])
    statuses = {str(answer.status) for answer in _ANSWERS.values()} - {str(NOBODY_READS)}
    assert statuses <= explained


def test_every_variable_of_a_path_is_described(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            described = [one for one in operation["parameters"] if one["in"] == "path"]
            assert [one["name"] for one in described] == re.findall(r"{(\w+)}", path)
            assert all(one["required"] and one["schema"]["type"] == "string" for one in described)


def test_every_operation_that_streams_says_so(document: dict[str, Any]) -> None:
    streaming = {
        (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for reply in operation["responses"].values()
        if "text/event-stream" in reply.get("content", {})
    }
    assert streaming == {
        ("/v1/chat/completions", "post"),
        ("/v1/completions", "post"),
        ("/v1/responses", "post"),
        ("/v1/responses/{response_id}", "get"),
        ("/v1/jobs/{job_id}/events", "get"),
    }


def test_the_events_of_a_stream_are_described(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    event = content["text/event-stream"]["schema"]
    assert event["required"] == ["data"]
    json_text, end = event["properties"]["data"]["anyOf"]
    chunk, error = (held["$ref"].rpartition("/")[2] for held in json_text["contentSchema"]["anyOf"])
    assert "choices" in document["components"]["schemas"][chunk]["properties"]
    assert error == "ErrorBody"
    assert end == {"const": "[DONE]"}


def test_lists_in_a_query_are_named_as_they_are_sent(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/v1/responses/{response_id}"]["get"]["parameters"]
    assert "include[]" in [parameter["name"] for parameter in parameters]


def test_headers_are_described_where_they_matter(document: dict[str, Any]) -> None:
    create = document["paths"]["/v1/chat/completions"]["post"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in create["parameters"]]
    assert "x-tokenmill-job-id" in create["responses"]["200"]["headers"]
    refusals = document["components"]["responses"]
    assert "Retry-After" in refusals["429"]["headers"]
    assert "Retry-After" in refusals["503"]["headers"]


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

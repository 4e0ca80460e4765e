"""Every way a request can be wrong, and what its sender is told."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import LiveServer

CHAT: dict[str, Any] = {"type": "chat", "model": "smollm2", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION: dict[str, Any] = {"type": "completion", "model": "smollm2", "prompt": "hi"}
JSON = {"Content-Type": "application/json"}
# What is not read to its end can only be followed by another connection.
ONCE = {"Connection": "close"}


def refused(server: LiveServer, status: int, **request: Any) -> dict[str, Any]:
    method, path = request.pop("method", "POST"), request.pop("path", "/v1/jobs")
    response = server.http.request(method, path, **request)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    error: dict[str, Any] = response.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (CHAT | {"colour": "red"}, "colour", "unknown_parameter"),
        (CHAT | {"temperature": "warm"}, "temperature", "invalid_type"),
        (CHAT | {"temperature": 2.5}, "temperature", "invalid_value"),
        (CHAT | {"top_p": 0}, "top_p", "invalid_value"),
        (CHAT | {"max_tokens": 0}, "max_tokens", "invalid_value"),
        (CHAT | {"messages": []}, "messages", "invalid_value"),
        (CHAT | {"messages": [{"role": "user", "content": ""}]}, "messages[0].content", "invalid_value"),
        (COMPLETION | {"prompt": ""}, "prompt", "invalid_value"),
        (COMPLETION | {"messages": []}, "messages", "unknown_parameter"),
        (COMPLETION | {"stop": ["a", 1]}, "stop[1]", "invalid_type"),
        (COMPLETION | {"metadata": {"k": "v" * 513}}, "metadata.k", "invalid_value"),
        (COMPLETION | {"expires_in_seconds": 10**9}, "expires_in_seconds", "invalid_value"),
        ({"type": "completion", "prompt": "hi"}, "model", "missing_required_parameter"),
        ({}, "type", "missing_required_parameter"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    live_server: LiveServer, body: dict[str, Any], param: str, code: str
) -> None:
    error = refused(live_server, 400, json=body)
    assert (error["param"], error["code"]) == (param, code)


def test_all_wrong_fields_are_listed(live_server: LiveServer) -> None:
    error = refused(live_server, 400, json=COMPLETION | {"top_p": 2, "seed": "x", "prompt": ""})
    assert {fault["param"] for fault in error["details"]} == {"top_p", "seed", "prompt"}


def test_prompt_over_the_context_length_is_refused_with_both_numbers(live_server: LiveServer) -> None:
    error = refused(live_server, 400, json=COMPLETION | {"prompt": "mill " * 9000})
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")
    context_length = live_server.http.get("/v1/models/smollm2").json()["context_length"]
    assert str(context_length) in error["message"]
    assert any(
        int(word) > context_length for word in error["message"].replace(".", " ").split() if word.isdigit()
    )


def test_output_that_does_not_fit_the_context_is_refused(live_server: LiveServer) -> None:
    error = refused(live_server, 400, json=COMPLETION | {"max_tokens": 8192})
    assert (error["param"], error["code"]) == ("max_tokens", "context_length_exceeded")


def test_unknown_model_is_a_404_that_names_it(live_server: LiveServer) -> None:
    error = refused(live_server, 404, json=COMPLETION | {"model": "gpt-9"})
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "gpt-9" in error["message"]


@pytest.mark.parametrize("body", [CHAT, COMPLETION])
def test_job_for_an_embedding_model_is_a_400_that_names_the_model(
    live_server: LiveServer, body: dict[str, Any]
) -> None:
    error = refused(live_server, 400, json=body | {"model": "minilm"})
    assert (error["param"], error["code"]) == ("model", "unsupported_model")
    assert "all-minilm-l6-v2" in error["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"not json", b'{"a": NaN}', b"\xff", b"[" * 50_000])
def test_body_that_is_not_json_is_a_400(live_server: LiveServer, content: bytes) -> None:
    assert refused(live_server, 400, content=content, headers=JSON)["code"] == "invalid_json"


def test_body_too_large_is_a_413(live_server: LiveServer) -> None:
    content = json.dumps(COMPLETION | {"prompt": "x" * 5_000_000}).encode()
    assert refused(live_server, 413, content=content, headers=JSON | ONCE)["code"] == "request_too_large"


def test_body_too_large_in_chunks_is_a_413(live_server: LiveServer) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield b" " * 65_536

    assert refused(live_server, 413, content=chunks(), headers=JSON | ONCE)["code"] == "request_too_large"


def test_body_in_chunks_is_read(live_server: LiveServer) -> None:
    pieces = iter([b'{"type": "comple', b'tion", "model": "smollm2"}'])
    assert refused(live_server, 400, content=pieces, headers=JSON)["param"] == "prompt"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_wrong_method_is_a_405_with_the_right_ones(live_server: LiveServer, method: str) -> None:
    refused(live_server, 405, method=method)
    assert "POST" in live_server.http.request(method, "/v1/jobs").headers["Allow"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_wrong_content_type_is_a_415(live_server: LiveServer, content_type: str) -> None:
    content = json.dumps(COMPLETION).encode()
    error = refused(live_server, 415, content=content, headers={"Content-Type": content_type})
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("query", "param"),
    [("colour=red", "colour"), ("limit=0", "limit"), ("status=lost", "status"), ("after=job_nope", "after")],
)
def test_wrong_query_parameter_is_a_400_that_names_it(
    live_server: LiveServer, query: str, param: str
) -> None:
    assert refused(live_server, 400, method="GET", path=f"/v1/jobs?{query}")["param"] == param


@pytest.mark.parametrize("path", ["/v1/jobs/job_0", "/v1/jobs/a%00b", "/v1/nowhere"])
def test_what_does_not_exist_is_a_404(live_server: LiveServer, path: str) -> None:
    assert refused(live_server, 404, method="GET", path=path)["type"] == "invalid_request_error"


@pytest.mark.parametrize("key", ["k" * 256, "a\tb"])
def test_unusable_idempotency_key_is_a_400(live_server: LiveServer, key: str) -> None:
    error = refused(live_server, 400, json=COMPLETION, headers={"Idempotency-Key": key})
    assert error["param"] == "Idempotency-Key"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer tm-000000000000-wrong", "Basic eDp5"])
def test_wrong_key_is_a_401(live_server: LiveServer, authorization: str) -> None:
    response = live_server.http.get("/v1/jobs", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.json()["error"]["type"] == "authentication_error"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_nothing_refused_left_a_job_behind(live_server: LiveServer) -> None:
    with live_server.client(live_server.key) as client:
        before = client.get("/v1/jobs").json()["first_id"]
        client.post("/v1/jobs", json=COMPLETION | {"max_tokens": 8192})
        client.post("/v1/jobs", json=COMPLETION | {"model": "gpt-9"})
        assert client.get("/v1/jobs").json()["first_id"] == before


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /v1/jobs?after=" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET /v1/jobs HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
        (b"what is this\r\n\r\n", 400, "bad_request"),
    ],
    ids=["long_address", "many_headers", "no_http"],
)
def test_request_that_can_not_be_read_is_an_error_like_others(
    live_server: LiveServer, request_bytes: bytes, status: int, code: str
) -> None:
    host, _, port = live_server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_bytes)
        with connection.makefile("rb") as answer:
            assert int(answer.readline().split()[1]) == status
            text = answer.read().decode()
    head, _, body = text.partition("\r\n\r\n")
    assert "x-request-id: req_" in head
    assert json.loads(body)["error"]["code"] == code

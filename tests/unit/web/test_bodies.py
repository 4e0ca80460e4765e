from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InvalidRequest
from tests.unit.web.conftest import AUTHORIZED, MakeApp
from web import bodies


def post(client: FlaskClient, content: bytes, content_type: str = "application/json", **headers: str) -> Any:
    return client.post("/v1/jobs", data=content, content_type=content_type, headers={**AUTHORIZED, **headers})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1 column 2"),
        (b'{\n "a": }', "line 2 column 7"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": "\xff"}', "not UTF-8 (byte 7)"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place_or_the_reason(
    client: FlaskClient, content: bytes, words: str
) -> None:
    response = post(client, content)
    assert response.status_code == 400
    error = response.json["error"]
    assert words in error["message"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_json", None)


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"1", b"null"])
def test_json_that_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bodies.parse(content)
    assert refused.value.code == "invalid_type"


def test_name_given_twice_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="'b' twice") as refused:
        bodies.parse(b'{"a": [{"b": 1, "c": 2, "b": 3}]}')
    assert refused.value.param == "b"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.booleans()))
def test_any_other_object_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    import json

    assert bodies.parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]
)
def test_wrong_content_type_is_a_structured_415(client: FlaskClient, content_type: str) -> None:
    response = post(client, b"{}", content_type)
    assert response.status_code == 415
    assert response.json["error"]["code"] == "unsupported_media_type"


def test_content_type_with_a_charset_is_accepted(client: FlaskClient) -> None:
    assert post(client, b"{}", "application/json; charset=utf-8").json["error"]["param"] == "type"


def test_body_of_exactly_the_limit_is_read_and_one_byte_more_is_a_413(make_app: MakeApp) -> None:
    client = make_app(max_body_bytes=1024).test_client()
    at_limit = b'{"type": "chat"' + b" " * (1024 - 16) + b"}"
    assert len(at_limit) == 1024
    assert post(client, at_limit).status_code == 400
    refused = post(client, at_limit + b" ")
    assert refused.status_code == 413
    assert refused.json["error"]["code"] == "request_too_large"
    assert "1024 bytes" in refused.json["error"]["message"]


def test_body_in_chunks_is_cut_off_at_the_limit_without_being_read_whole(make_app: MakeApp) -> None:
    read = 0

    class Endless:
        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return b" " * size

    client = make_app(max_body_bytes=1024).test_client()
    response = client.post(
        "/v1/jobs",
        content_type="application/json",
        headers=AUTHORIZED,
        environ_overrides={
            "wsgi.input": Endless(),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    assert response.status_code == 413
    assert read <= 1025


def test_body_that_comes_in_small_pieces_is_read_to_its_end(client: FlaskClient) -> None:
    class Trickle:
        def __init__(self) -> None:
            self._pieces: Iterator[bytes] = (bytes([byte]) for byte in b'{"type": "chat", "model": "m"}')

        def read(self, size: int) -> bytes:
            return next(self._pieces, b"")

    response = client.post(
        "/v1/jobs",
        content_type="application/json",
        headers=AUTHORIZED,
        environ_overrides={
            "wsgi.input": Trickle(),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    assert response.json is not None
    assert response.json["error"]["param"] == "messages"


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"])
def test_unusable_idempotency_key_is_refused(client: FlaskClient, key: str) -> None:
    body = b'{"type": "completion", "model": "m", "prompt": "p"}'
    response = client.post(
        "/v1/jobs",
        data=body,
        content_type="application/json",
        headers=AUTHORIZED,
        environ_overrides={"HTTP_IDEMPOTENCY_KEY": key.encode().decode("latin1")},
    )
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["error"]["param"] == "Idempotency-Key"

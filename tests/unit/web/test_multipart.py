"""Forms with a file, as any client may send them."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidHeader, NoMoreData

from tasks.wire.files import FILE_FORM
from web import errors, multipart, requests

BOUNDARY = "----boundary"
LIMIT = 10_000
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
FILE = ("file", "in.jsonl", b'{"a": 1}\n')
PURPOSE = ("purpose", None, b"batch")


@pytest.fixture
def taken() -> list[bytes]:
    return []


@pytest.fixture
def client(taken: list[bytes]) -> FlaskClient:
    app = Flask(__name__)
    requests.install(app)
    errors.install(app)

    @app.post("/")
    def read() -> Response:
        form = multipart.read(FILE_FORM, file="file", into=taken.append, limit=LIMIT)
        return jsonify(form.model_dump())

    return app.test_client()


def coming_from(stream: io.IOBase) -> dict[str, Any]:
    """The environment of a request whose body comes in chunks, as gunicorn makes it."""
    return {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_TYPE": TYPE}


def body(*parts: tuple[str, str | None, bytes]) -> bytes:
    content = b""
    for name, filename, value in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        content += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"
    return content + f"--{BOUNDARY}--\r\n".encode()


def post(client: FlaskClient, content: bytes, content_type: str = TYPE) -> Any:
    return client.post("/", data=content, content_type=content_type)


def error_of(response: Any) -> dict[str, Any]:
    error: dict[str, Any] = response.json["error"]
    return error


def refused(
    client: FlaskClient, content: bytes, status: int = 400, content_type: str = TYPE
) -> dict[str, Any]:
    response = post(client, content, content_type)
    assert response.status_code == status, response.get_data()
    return error_of(response)


@pytest.mark.parametrize("parts", [(FILE, PURPOSE), (PURPOSE, FILE)])
def test_fields_come_in_any_order(
    client: FlaskClient, taken: list[bytes], parts: tuple[tuple[str, str | None, bytes], ...]
) -> None:
    response = post(client, body(*parts))
    assert response.json == {"file": "in.jsonl", "purpose": "batch", "expires_after": None}
    assert b"".join(taken) == FILE[2]


def test_expiry_comes_as_two_fields(client: FlaskClient) -> None:
    anchor, seconds = (
        ("expires_after[anchor]", None, b"created_at"),
        ("expires_after[seconds]", None, b"3600"),
    )
    response = post(client, body(anchor, FILE, PURPOSE, seconds))
    assert response.json["expires_after"] == {"anchor": "created_at", "seconds": 3600}


def test_boundary_like_content_is_content(client: FlaskClient, taken: list[bytes]) -> None:
    content = f"\r\n--{BOUNDARY}x\r\n--{BOUNDARY[:-1]}\r\n\n--\r\n".encode() * 20
    assert post(client, body(PURPOSE, ("file", "a", content))).status_code == 200
    assert b"".join(taken) == content


ANCHOR = ("expires_after[anchor]", None, b"created_at")


def text(name: str, value: bytes) -> tuple[str, str | None, bytes]:
    return name, None, value


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ((FILE,), "purpose", "missing_required_parameter"),
        ((PURPOSE,), "file", "missing_required_parameter"),
        ((FILE, PURPOSE, text("colour", b"red")), "colour", "unknown_parameter"),
        ((FILE, PURPOSE, PURPOSE), "purpose", "invalid_value"),
        ((FILE, FILE, PURPOSE), "file", "invalid_value"),
        ((FILE, text("purpose", b"lunch")), "purpose", "invalid_value"),
        ((FILE, text("purpose", b"\xff")), "purpose", "invalid_value"),
        ((FILE, text("purpose", b"x" * 70_000)), "purpose", "invalid_value"),
        ((FILE, PURPOSE, text("expires_after", b"3600")), "expires_after", "invalid_type"),
        ((FILE, PURPOSE, ANCHOR), "expires_after.seconds", "missing_required_parameter"),
        (
            (FILE, PURPOSE, ANCHOR, text("expires_after[seconds]", b"60")),
            "expires_after.seconds",
            "invalid_value",
        ),
        ((FILE, PURPOSE, ANCHOR, text("expires_after", b"b")), "expires_after", "invalid_value"),
        ((("file", "x" * 256, b"{}"), PURPOSE), "file", "invalid_value"),
        ((("file", "a\tb", b"{}"), PURPOSE), "file", "invalid_value"),
    ],
)
def test_wrong_field_is_named(
    client: FlaskClient, parts: tuple[tuple[str, str | None, bytes], ...], param: str, code: str
) -> None:
    error = refused(client, body(*parts))
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize(
    "purpose", ["assistants", "fine-tune", "vision", "user_data", "evals", "batch_output"]
)
def test_purposes_without_a_use_are_refused_by_name_before_the_file_is_read(
    client: FlaskClient, taken: list[bytes], purpose: str
) -> None:
    error = refused(client, body(("purpose", None, purpose.encode()), FILE))
    assert error["param"] == "purpose"
    assert purpose in error["message"] or "made by batches" in error["message"]
    assert taken == []


@pytest.mark.parametrize(
    "content",
    [
        b"no form at all",
        body(FILE, PURPOSE)[:-10] + b"xxxxxxxxxx",
        f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n'.encode("latin-1"),
    ],
)
def test_what_is_no_form_is_a_400(client: FlaskClient, content: bytes) -> None:
    assert refused(client, content)["code"] == "invalid_form"


def test_empty_body_is_a_400(client: FlaskClient) -> None:
    response = client.post("/", environ_overrides=coming_from(io.BytesIO(b"")))
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_form")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=\xe9"])
def test_form_without_a_usable_boundary_is_a_400(client: FlaskClient, content_type: str) -> None:
    assert refused(client, body(FILE, PURPOSE), content_type=content_type)["code"] == "invalid_form"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_body_that_is_no_form_is_a_415(client: FlaskClient, content_type: str) -> None:
    error = refused(client, b"{}", 415, content_type)
    assert error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 2_000_000,
        f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 200_000,
        body(*[(f"f{number}", None, b"x") for number in range(40)]),
        body(FILE, PURPOSE) + b"x" * 2_000_000,
    ],
)
def test_form_with_too_much_around_its_file_is_refused(client: FlaskClient, content: bytes) -> None:
    response = client.post("/", environ_overrides=coming_from(io.BytesIO(content)))
    assert response.status_code in {400, 413}
    assert set(error_of(response)) >= {"message", "type", "param", "code"}


def test_file_known_to_be_too_large_is_refused_unread(client: FlaskClient, taken: list[bytes]) -> None:
    error = refused(client, body(PURPOSE, ("file", "a", b"x" * 200_000)), 413)
    assert (error["param"], error["code"]) == ("file", "file_too_large")
    assert taken == []


class Generated(io.RawIOBase):
    """A stream that is nowhere as a whole."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class Broken(io.RawIOBase):
    """A body in chunks that gunicorn can't read to its end."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        raise self._error


@pytest.mark.parametrize(("error", "status"), [(NoMoreData(), 499), (InvalidHeader("x"), 400)])
def test_body_in_chunks_that_breaks_off_or_is_malformed_is_no_fault_of_ours(
    client: FlaskClient, error: Exception, status: int
) -> None:
    response = client.post("/", environ_overrides=coming_from(Broken(error)))
    assert response.status_code == status


def test_large_file_is_never_held_as_a_whole() -> None:
    app = Flask(__name__)
    received = 0

    def count(chunk: bytes) -> None:
        nonlocal received
        received += len(chunk)

    size = 64 * 1024 * 1024
    head, tail = body(PURPOSE, ("file", "a", b"@")).split(b"@")

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(size // 65_536):
            yield b"x" * 65_535 + b"\n"
        yield tail

    context = app.test_request_context("/", method="POST", environ_overrides=coming_from(Generated(pieces())))
    with context:
        tracemalloc.start()
        try:
            multipart.read(FILE_FORM, file="file", into=count, limit=size)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received == size
    assert peak < 4_000_000

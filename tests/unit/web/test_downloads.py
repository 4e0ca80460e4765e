"""A file, or a range of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from tasks.files import FileRecord
from tasks.storage import storage
from tests.unit.web.conftest import Configure
from web import errors, requests
from web.downloads import download

CONTENT = bytes(range(100))
ETAG = "a" * 64


def record(**changes: object) -> FileRecord:
    values: dict[str, object] = {
        "id": "file-1",
        "project_id": "proj_1",
        "filename": 'the "best"\u2028.jsonl',
        "purpose": "batch",
        "bytes": len(CONTENT),
        "sha256": ETAG,
        "storage_key": "object_1",
        "batch_id": None,
        "view": None,
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "expires_at": None,
    }
    return FileRecord(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def served() -> list[FileRecord]:
    return [record()]


@pytest.fixture
def client(configure: Configure, tmp_path: Path, served: list[FileRecord]) -> Iterator[FlaskClient]:
    configure(data_dir=tmp_path)
    storage.cache_clear()
    with storage().writing("object_1") as write:
        write(CONTENT)
    app = Flask(__name__)
    requests.install(app)
    errors.install(app)

    @app.get("/")
    def send() -> Response:
        response = download(served[0])
        response.make_conditional(request.environ)
        return response

    yield app.test_client()
    storage.cache_clear()


def test_whole_file_has_its_length_its_name_and_a_tag(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.get_data()) == (200, CONTENT)
    assert response.content_length == len(CONTENT)
    assert response.get_etag() == (ETAG, False)
    assert response.headers["Accept-Ranges"] == "bytes"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment")
    assert disposition.isascii()
    assert "%E2%80%A8" in disposition


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("90-", 90, 100),
        ("-5", 95, 100),
        ("50-1000", 50, 100),
        ("-1000", 0, 100),
    ],
)
def test_range_is_sent_alone(client: FlaskClient, wanted: str, start: int, end: int) -> None:
    response = client.get("/", headers={"Range": f"bytes={wanted}"})
    assert (response.status_code, response.get_data()) == (206, CONTENT[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"
    assert response.content_length == end - start


@pytest.mark.parametrize("wanted", ["100-", "200-300"])
def test_range_beyond_the_end_is_a_416_with_the_length(client: FlaskClient, wanted: str) -> None:
    response = client.get("/", headers={"Range": f"bytes={wanted}"})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */100"
    assert response.json is not None
    assert response.json["error"]["code"] == "range_not_satisfiable"


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-0", "nonsense"])
def test_what_is_no_single_range_of_bytes_is_answered_with_the_whole(
    client: FlaskClient, wanted: str
) -> None:
    response = client.get("/", headers={"Range": wanted})
    assert (response.status_code, response.get_data()) == (200, CONTENT)


def test_content_seen_before_is_not_sent_again(client: FlaskClient) -> None:
    response = client.get("/", headers={"If-None-Match": f'"{ETAG}"'})
    assert (response.status_code, response.get_data()) == (304, b"")


@pytest.mark.parametrize(("tag", "status"), [(ETAG, 206), ("b" * 64, 200)])
def test_range_is_sent_only_while_the_file_is_the_one_begun(
    client: FlaskClient, tag: str, status: int
) -> None:
    response = client.get("/", headers={"Range": "bytes=10-", "If-Range": f'"{tag}"'})
    assert response.status_code == status


def test_file_whose_content_is_not_there_is_a_404(client: FlaskClient, served: list[FileRecord]) -> None:
    served[0] = record(storage_key="object_2")
    response = client.get("/")
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["error"]["code"] == "file_not_found"

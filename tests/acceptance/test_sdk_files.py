"""Files and uploads, as the OpenAI client sends and reads them."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.acceptance.conftest import LiveServer

LINE = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "é"}})
CONTENT = (LINE + "\n").encode() * 3
PART = 1024


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=live_server.key, max_retries=0) as opened:
        yield opened


@pytest.fixture
def neighbour(live_server: LiveServer, other_client: httpx.Client) -> Iterator[openai.OpenAI]:
    key = other_client.headers["Authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as opened:
        yield opened


def test_file_is_created_read_and_deleted(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "requests é.jsonl"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        file = client.files.create(file=opened, purpose="batch")
    assert (file.object, file.purpose, file.status) == ("file", "batch", "processed")
    assert (file.filename, file.bytes) == (path.name, len(CONTENT))
    assert file.expires_at == file.created_at + 30 * 86_400
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).content == CONTENT
    with client.files.with_streaming_response.content(file.id) as streamed:
        assert b"".join(streamed.iter_bytes()) == CONTENT
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    for look in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as missing:
            look(file.id)
        assert missing.value.code == "file_not_found"


def test_part_of_a_file_is_read_by_its_range(client: openai.OpenAI) -> None:
    file = client.files.create(file=("in.jsonl", CONTENT), purpose="batch")
    response = client.files.with_raw_response.content(file.id, extra_headers={"Range": "bytes=5-9"})
    assert (response.status_code, response.content) == (206, CONTENT[5:10])
    with pytest.raises(openai.APIStatusError) as beyond:
        client.files.content(file.id, extra_headers={"Range": f"bytes={len(CONTENT)}-"})
    assert beyond.value.status_code == 416


def test_file_goes_when_it_is_told_to(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=("in.jsonl", CONTENT),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == file.created_at + 3600
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(
            file=CONTENT, purpose="batch", expires_after={"anchor": "created_at", "seconds": 60}
        )
    assert refused.value.param == "expires_after.seconds"


def test_all_of_250_files_are_listed_across_pages(client: openai.OpenAI) -> None:
    made = [client.files.create(file=("f.jsonl", b"{}"), purpose="batch").id for _ in range(250)]
    for order, expected in (("asc", made), ("desc", made[::-1])):
        pages = client.files.list(limit=100, order=order, purpose="batch")  # type: ignore[arg-type]
        assert pages.has_more
        found = [file.id for file in pages]
        assert len(found) == len(set(found))
        assert [file_id for file_id in found if file_id in set(made)] == expected
    assert {file.id for file in client.files.list().data} >= set(made)
    assert not {file.id for file in client.files.list(purpose="batch_output").data} & set(made)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty_file", "empty"),
        (CONTENT + b'{"a": ', "invalid_json", "Line 4 "),
        (CONTENT + b"[]\n", "invalid_json", "Line 4 "),
        (CONTENT + '"é"'.encode("latin-1"), "invalid_utf8", "Line 4 "),
        (b"{}\n" * 50_001, "too_many_lines", "50000"),
    ],
)
def test_file_that_no_batch_could_read_is_refused(
    client: openai.OpenAI, content: bytes, code: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=words) as refused:
        client.files.create(file=("in.jsonl", io.BytesIO(content)), purpose="batch")
    assert (refused.value.param, refused.value.code) == ("file", code)


@pytest.mark.parametrize("purpose", ["assistants", "fine-tune", "vision", "user_data", "evals"])
def test_other_purposes_are_refused_by_name(client: openai.OpenAI, purpose: str) -> None:
    with pytest.raises(openai.BadRequestError, match=purpose) as refused:
        client.files.create(file=b"\x89PNG", purpose=purpose)  # type: ignore[arg-type]
    assert refused.value.param == "purpose"


def test_file_comes_in_parts(client: openai.OpenAI, tmp_path: Path) -> None:
    content = CONTENT * 40
    path = tmp_path / "large.jsonl"
    path.write_bytes(content)
    upload = client.uploads.upload_file_chunked(
        file=path,
        mime_type="application/jsonl",
        purpose="batch",
        part_size=PART,
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
    )
    assert (upload.status, upload.bytes, upload.filename) == ("completed", len(content), path.name)
    assert upload.file is not None
    assert client.files.retrieve(upload.file.id) == upload.file
    assert client.files.content(upload.file.id).content == content


def test_parts_are_put_in_the_order_named(client: openai.OpenAI) -> None:
    upload = client.uploads.create(
        bytes=len(CONTENT), filename="in.jsonl", mime_type="text/plain", purpose="batch"
    )
    assert upload.status == "pending"
    assert upload.expires_at == upload.created_at + 3600
    tail = client.uploads.parts.create(upload.id, data=CONTENT[50:])
    head = client.uploads.parts.create(upload.id, data=CONTENT[:50])
    assert (head.object, head.upload_id) == ("upload.part", upload.id)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.uploads.complete(upload.id, part_ids=[head.id, tail.id], md5="0" * 32)
    assert wrong.value.param == "md5"
    completed = client.uploads.complete(upload.id, part_ids=[head.id, tail.id])
    assert completed.file is not None
    assert client.files.content(completed.file.id).content == CONTENT


def test_cancelled_upload_takes_no_more_parts(client: openai.OpenAI) -> None:
    upload = client.uploads.create(bytes=10, filename="a", mime_type="text/plain", purpose="batch")
    part = client.uploads.parts.create(upload.id, data=b"x" * 10)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    attempts: tuple[Callable[[], object], ...] = (
        lambda: client.uploads.parts.create(upload.id, data=b"x"),
        lambda: client.uploads.complete(upload.id, part_ids=[part.id]),
    )
    for attempt in attempts:
        with pytest.raises(openai.ConflictError) as late:
            attempt()
        assert late.value.code == "upload_not_pending"
        assert late.value.response.headers["x-should-retry"] == "false"


def test_upload_of_too_much_is_refused_before_it_begins(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.uploads.create(bytes=201 * 2**20, filename="a", mime_type="text/plain", purpose="batch")
    assert refused.value.param == "bytes"


def test_another_projects_files_and_uploads_are_not_there(
    client: openai.OpenAI, neighbour: openai.OpenAI
) -> None:
    file = client.files.create(file=("in.jsonl", CONTENT), purpose="batch")
    upload = client.uploads.create(bytes=10, filename="a", mime_type="text/plain", purpose="batch")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: neighbour.files.retrieve(file.id),
        lambda: neighbour.files.content(file.id),
        lambda: neighbour.files.delete(file.id),
        lambda: neighbour.uploads.parts.create(upload.id, data=b"x"),
        lambda: neighbour.uploads.complete(upload.id, part_ids=["part_1"]),
        lambda: neighbour.uploads.cancel(upload.id),
    )
    for attempt in attempts:
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert neighbour.files.list().data == []
    assert client.files.retrieve(file.id).id == file.id

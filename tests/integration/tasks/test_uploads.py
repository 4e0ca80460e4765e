"""Files that come in parts."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks import keys, maintenance, projects, storage, upload_completion
from tasks.errors import FileTooLarge, InvalidRequest, UploadNotFound, UploadNotPending
from tasks.file_content import open_content
from tasks.files import FileFilter, delete_file, get_file, list_files
from tasks.keys import Principal
from tasks.models import UploadStatus
from tasks.settings import settings
from tasks.upload_completion import CompletedUpload, complete_upload
from tasks.uploads import cancel_upload, create_upload, get_upload
from tests.integration.tasks.file_storage import Place, use_storage
from tests.integration.tasks.stored_files import (
    begin,
    keys_in_the_books,
    let_time_pass,
    new_file,
    put_part,
)

HEAD, BODY, TAIL = b'{"a": 1}\n{"b', b'": "\xc3', b'\xa9"}\n'
WHOLE = HEAD + BODY + TAIL


@pytest.fixture
def place(process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    yield use_storage(str(tmp_path / "files"), monkeypatch)
    storage.storage.cache_clear()


@pytest.fixture
def project(place: Place, principal: Principal) -> str:
    return principal.project_id


def complete(project: str, upload_id: str, *part_ids: str, md5: str | None = None) -> CompletedUpload:
    return complete_upload(project, upload_id, part_ids, md5=md5)


def test_parts_in_any_order_become_one_file(project: str, place: Place) -> None:
    upload = begin(project, len(WHOLE))
    tail, head, body = (put_part(project, upload.id, data).id for data in (TAIL, HEAD, BODY))
    md5 = hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    completed = complete(project, upload.id, head, body, tail, md5=md5.upper())
    assert completed.upload.status is UploadStatus.COMPLETED
    assert completed.file is not None
    assert completed.file == get_file(project, completed.file.id)
    assert b"".join(open_content(completed.file)) == WHOLE
    maintenance.erase_stored_objects()
    assert place.held() == keys_in_the_books() == {completed.file.storage_key}


def test_completing_again_gives_the_same_file(project: str, place: Place) -> None:
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    first, second = (complete(project, upload.id, part.id) for _ in range(2))
    assert first.file is not None
    assert first == second
    with pytest.raises(UploadNotPending):
        complete(project, upload.id, "part_other")
    delete_file(project, first.file.id)
    assert complete(project, upload.id, part.id).file is None


def test_completing_twice_at_the_same_time_makes_one_file(
    project: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    together = threading.Barrier(2, timeout=20)
    put_together = upload_completion._put_together

    def wait_for_the_other(*arguments: Any) -> None:
        put_together(*arguments)
        together.wait()

    monkeypatch.setattr(upload_completion, "_put_together", wait_for_the_other)
    results: list[CompletedUpload] = []

    def run() -> None:
        results.append(complete(project, upload.id, part.id))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert len(list_files(project, FileFilter()).items) == 1


@pytest.mark.parametrize(
    ("choose", "param"),
    [
        (lambda head, tail: [head], "part_ids"),
        (lambda head, tail: [head, tail, tail], "part_ids"),
        (lambda head, tail: [head, "part_0"], "part_ids[1]"),
    ],
)
def test_wrong_parts_are_refused_and_may_be_put_right(
    project: str, place: Place, choose: Callable[[str, str], list[str]], param: str
) -> None:
    upload = begin(project, len(WHOLE))
    head, tail = (put_part(project, upload.id, data).id for data in (HEAD + BODY, TAIL))
    with pytest.raises(InvalidRequest) as refused:
        complete(project, upload.id, *choose(head, tail))
    assert refused.value.param == param
    assert complete(project, upload.id, head, tail).file is not None


def test_total_that_is_not_what_was_announced_is_refused_with_both_numbers(
    project: str, place: Place
) -> None:
    upload = begin(project, 100)
    part = put_part(project, upload.id, WHOLE)
    with pytest.raises(InvalidRequest, match=rf"{len(WHOLE)} bytes.* 100"):
        complete(project, upload.id, part.id)


@pytest.mark.parametrize(
    ("data", "md5", "param", "code"),
    [
        (WHOLE, "0" * 32, "md5", "invalid_value"),
        (b'{"a": 1}\nno\n', None, "part_ids", "invalid_json"),
        (b'{"a": "\xff"}', None, "part_ids", "invalid_utf8"),
        (b"\n\n", None, "part_ids", "empty_file"),
    ],
)
def test_file_that_is_not_taken_leaves_the_upload_as_it_was(
    project: str, place: Place, data: bytes, md5: str | None, param: str, code: str
) -> None:
    upload = begin(project, len(data))
    part = put_part(project, upload.id, data)
    with pytest.raises(InvalidRequest) as refused:
        complete(project, upload.id, part.id, md5=md5)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert get_upload(project, upload.id).status is UploadStatus.PENDING
    assert place.held() == {part.storage_key}


def test_cancelled_upload_takes_nothing_more_and_leaves_nothing(project: str, place: Place) -> None:
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    assert cancel_upload(project, upload.id).status is UploadStatus.CANCELLED
    assert cancel_upload(project, upload.id).status is UploadStatus.CANCELLED
    with pytest.raises(UploadNotPending):
        put_part(project, upload.id, WHOLE)
    with pytest.raises(UploadNotPending):
        complete(project, upload.id, part.id)
    let_time_pass(timedelta(days=1))
    maintenance.erase_stored_objects()
    assert place.held() == keys_in_the_books() == set()


def test_upload_cancelled_while_it_is_completed_makes_no_file(
    project: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    put_together = upload_completion._put_together

    def cancel_meanwhile(*arguments: Any) -> None:
        put_together(*arguments)
        cancel_upload(project, upload.id)

    monkeypatch.setattr(upload_completion, "_put_together", cancel_meanwhile)
    with pytest.raises(UploadNotPending):
        complete(project, upload.id, part.id)
    assert list_files(project, FileFilter()).items == []


def test_completed_upload_can_not_be_cancelled(project: str, place: Place) -> None:
    upload = begin(project, len(WHOLE))
    complete(project, upload.id, put_part(project, upload.id, WHOLE).id)
    with pytest.raises(UploadNotPending, match="completed"):
        cancel_upload(project, upload.id)


def test_upload_expires_with_its_parts(project: str, place: Place) -> None:
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    let_time_pass(timedelta(hours=1))
    assert get_upload(project, upload.id).status is UploadStatus.EXPIRED
    for attempt in (
        lambda: put_part(project, upload.id, WHOLE),
        lambda: complete(project, upload.id, part.id),
        lambda: cancel_upload(project, upload.id),
    ):
        with pytest.raises(UploadNotPending, match="expired"):
            attempt()
    let_time_pass(timedelta(days=1))
    maintenance.erase_stored_objects()
    assert place.held() == keys_in_the_books() == set()


def test_upload_of_more_than_a_file_may_have_is_refused(project: str, place: Place) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_upload(project, new_file(), size=settings().max_file_bytes + 1, mime_type="text/plain")
    assert (refused.value.param, refused.value.code) == ("bytes", "file_too_large")


def test_parts_can_not_fill_the_storage(project: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_MAX_UPLOAD_PART_BYTES", "1024")
    settings.cache_clear()
    upload = begin(project, 2000)
    with pytest.raises(FileTooLarge):
        put_part(project, upload.id, b"x" * 1025)
    for _ in range(4):
        put_part(project, upload.id, b"x" * 1024)
    with pytest.raises(InvalidRequest) as refused:
        put_part(project, upload.id, b"x" * 1024)
    assert refused.value.param == "data"
    small = begin(project, 10)
    with pytest.raises(InvalidRequest, match="larger than the whole"):
        put_part(project, small.id, b"x" * 11)
    with pytest.raises(InvalidRequest, match="empty"):
        put_part(project, small.id, b"")


def test_another_projects_upload_is_not_there(project: str, place: Place) -> None:
    other = keys.authenticate(keys.create_key(projects.create_project("other").id, "other").secret).project_id
    upload = begin(project, len(WHOLE))
    part = put_part(project, upload.id, WHOLE)
    for attempt in (
        lambda: put_part(other, upload.id, WHOLE),
        lambda: complete(other, upload.id, part.id),
        lambda: cancel_upload(other, upload.id),
    ):
        with pytest.raises(UploadNotFound):
            attempt()


def test_part_of_another_upload_is_not_taken(project: str, place: Place) -> None:
    upload, other = begin(project, len(WHOLE)), begin(project, len(WHOLE))
    part = put_part(project, other.id, WHOLE)
    with pytest.raises(InvalidRequest) as refused:
        complete(project, upload.id, part.id)
    assert refused.value.code == "part_not_found"

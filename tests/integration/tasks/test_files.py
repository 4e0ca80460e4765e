"""Files in Postgres and in storage: the two never disagree for long."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tasks import files, keys, maintenance, projects, storage
from tasks.errors import DatabaseUnavailable, FileNotFound, FileTooLarge, InvalidRequest, StorageUnavailable
from tasks.file_content import content_length, open_content
from tasks.files import FileFilter, create_file, delete_file, get_file, list_files
from tasks.incoming import receive_file
from tasks.keys import Principal
from tasks.settings import settings
from tests.integration.tasks.file_storage import Place, use_storage
from tests.integration.tasks.stored_files import (
    LINE,
    keys_in_the_books,
    let_time_pass,
    new_file,
    put_file,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=["folder", "memory"])
def place(
    request: pytest.FixtureRequest, process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    url = {"folder": str(tmp_path / "files"), "memory": f"memory://{tmp_path.name}"}[request.param]
    yield use_storage(url, monkeypatch)
    storage.storage.cache_clear()


@pytest.fixture
def project(place: Place, principal: Principal) -> str:
    return principal.project_id


def test_file_is_read_as_it_was_written(project: str, place: Place) -> None:
    file = put_file(project, [LINE * 3, LINE[:5], LINE[5:]])
    assert (file.bytes, content_length(file)) == (4 * len(LINE), 4 * len(LINE))
    assert b"".join(open_content(file)) == LINE * 4
    assert b"".join(open_content(file, 3, 9)) == LINE[3:9]
    assert get_file(project, file.id) == file
    assert place.held() == keys_in_the_books() == {file.storage_key}


@pytest.mark.parametrize("chunks", [[], [b""], [b"nonsense\n"], [LINE, b"{"], [b"\xff\n"]])
def test_file_that_is_refused_leaves_nothing_behind(project: str, place: Place, chunks: list[bytes]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        put_file(project, chunks)
    assert refused.value.param == "file"
    assert place.held() == set()
    maintenance.erase_stored_objects()
    assert keys_in_the_books() == set()
    assert list_files(project, FileFilter()).items == []


def test_file_over_the_limit_is_refused_at_the_byte_that_is_too_many(
    project: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_MAX_FILE_BYTES", "1024")
    settings.cache_clear()
    padding = b" " * (1024 - len(LINE))
    put_file(project, [LINE, padding])
    with pytest.raises(FileTooLarge) as refused:
        put_file(project, [LINE, padding, b" "])
    assert refused.value.param == "file"
    assert len(place.held()) == 1


def test_writer_that_dies_leaves_nothing_for_long(project: str, place: Place) -> None:
    receiving = receive_file("file")
    content = receiving.__enter__()
    content.take(LINE)
    # No more is heard of it: the process was killed.
    assert content.key in keys_in_the_books()
    maintenance.erase_stored_objects()
    assert content.key in keys_in_the_books()
    let_time_pass(DAY)
    maintenance.erase_stored_objects()
    assert place.held() == keys_in_the_books() == set()


def test_file_whose_commit_is_in_doubt_is_not_taken_from_storage(
    project: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receive_file("file") as content:
        content.take(LINE)

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(files, "transaction", away)
        with pytest.raises(DatabaseUnavailable):
            create_file(project, new_file(), content)
    assert content.key in place.held()
    let_time_pass(DAY)
    maintenance.erase_stored_objects()
    assert place.held() == set()


def test_list_has_every_file_once_whichever_way_it_is_read(project: str) -> None:
    made = [put_file(project).id for _ in range(7)]
    for order, expected in (("asc", made), ("desc", made[::-1])):
        found: list[str] = []
        more = True
        while more:
            after = found[-1] if found else None
            page = list_files(project, FileFilter(limit=3, after=after, order=order))  # type: ignore[arg-type]
            found += [file.id for file in page.items]
            more = page.has_more
        assert found == expected
    assert list_files(project, FileFilter(purpose="batch_output")).items == []


def test_list_goes_on_behind_a_file_deleted_meanwhile(project: str) -> None:
    first, second = put_file(project), put_file(project)
    delete_file(project, first.id)
    page = list_files(project, FileFilter(after=first.id, order="asc"))
    assert [file.id for file in page.items] == [second.id]


def test_list_behind_what_is_no_file_is_refused(project: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        list_files(project, FileFilter(after="file-nowhere"))
    assert refused.value.param == "after"


def test_deleted_file_is_gone_at_once_and_its_content_soon(project: str, place: Place) -> None:
    file = put_file(project)
    delete_file(project, file.id)
    with pytest.raises(FileNotFound):
        get_file(project, file.id)
    with pytest.raises(FileNotFound):
        delete_file(project, file.id)
    assert list_files(project, FileFilter()).items == []
    maintenance.erase_stored_objects()
    assert b"".join(open_content(file)) == LINE, "what reads it already may go on"
    let_time_pass(HOUR)
    maintenance.erase_stored_objects()
    assert place.held() == keys_in_the_books() == set()
    with pytest.raises(FileNotFound):
        open_content(file)


def test_expired_file_is_gone_at_once_and_its_content_soon(project: str, place: Place) -> None:
    file, lasting = put_file(project, seconds=3600), put_file(project, seconds=7 * 3600)
    let_time_pass(HOUR)
    with pytest.raises(FileNotFound):
        get_file(project, file.id)
    assert [file.id for file in list_files(project, FileFilter()).items] == [lasting.id]
    let_time_pass(HOUR)
    maintenance.erase_stored_objects()
    assert place.held() == {lasting.storage_key}


def test_deleting_does_not_lengthen_a_life_that_ends_sooner(project: str, place: Place) -> None:
    file = put_file(project, seconds=60)
    let_time_pass(timedelta(seconds=59))
    delete_file(project, file.id)
    let_time_pass(HOUR + timedelta(seconds=1))
    maintenance.erase_stored_objects()
    assert place.held() == set()


def test_many_old_files_are_all_erased_at_once(project: str, place: Place) -> None:
    for _ in range(120):
        put_file(project, seconds=60)
    let_time_pass(DAY)
    assert maintenance.erase_stored_objects() == 120
    assert place.held() == keys_in_the_books() == set()


def test_file_that_can_not_be_erased_is_tried_again_and_in_nobodys_way(
    project: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = put_file(project, seconds=60), put_file(project, seconds=60)
    let_time_pass(DAY)
    delete = storage.Storage.delete

    def refuse(self: storage.Storage, key: str) -> None:
        if key == stuck.storage_key:
            raise StorageUnavailable
        delete(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Storage, "delete", refuse)
        assert maintenance.erase_stored_objects() == 1
    assert place.held() == {stuck.storage_key} != {other.storage_key}
    let_time_pass(HOUR)
    assert maintenance.erase_stored_objects() == 1
    assert place.held() == set()


def test_another_projects_file_is_not_there(project: str, place: Place) -> None:
    other = keys.authenticate(keys.create_key(projects.create_project("other").id, "other").secret).project_id
    file = put_file(project)
    for look in (get_file, delete_file):
        with pytest.raises(FileNotFound):
            look(other, file.id)
    assert list_files(other, FileFilter()).items == []
    with pytest.raises(InvalidRequest):
        list_files(other, FileFilter(after=file.id))
    assert get_file(project, file.id) == file

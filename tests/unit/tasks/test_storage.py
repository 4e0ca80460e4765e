"""Bytes in a folder, and in what else fsspec reaches."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import storage as storage_module
from tasks.errors import StorageUnavailable
from tasks.settings import settings
from tasks.storage import ObjectMissing, Storage, storage


@pytest.fixture(params=["folder", "file-url", "memory"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    urls = {"folder": None, "file-url": f"file://{tmp_path}/b/c", "memory": f"memory://{tmp_path.name}/x"}
    monkeypatch.setenv("TOKENMILL_DATA_DIR", str(tmp_path))
    if url := urls[request.param]:
        monkeypatch.setenv("TOKENMILL_STORAGE_URL", url)
    settings.cache_clear()
    storage.cache_clear()
    yield storage()
    monkeypatch.undo()
    settings.cache_clear()
    storage.cache_clear()


def put(place: Storage, key: str, content: bytes) -> None:
    with place.writing(key) as write:
        write(content)


def content_of(place: Storage, key: str, start: int, end: int) -> bytes:
    return b"".join(place.read(key, start, end))


def test_what_was_written_is_read_by_ranges(place: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "_READ_BYTES", 7)
    content = bytes(range(100))
    put(place, "object_1", content)
    for start, end in ((0, 100), (0, 1), (5, 20), (99, 100), (40, 40)):
        assert content_of(place, "object_1", start, end) == content[start:end]


def test_writing_that_fails_leaves_nothing(place: Storage) -> None:
    def fail() -> None:
        with place.writing("object_1") as write:
            write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(ObjectMissing):
        content_of(place, "object_1", 0, 1)


def test_deleted_object_is_missing_and_deleting_it_again_is_no_error(place: Storage) -> None:
    put(place, "object_1", b"x")
    place.delete("object_1")
    with pytest.raises(ObjectMissing):
        content_of(place, "object_1", 0, 1)
    place.delete("object_1")


def test_object_shorter_than_the_books_say_is_missing(place: Storage) -> None:
    put(place, "object_1", b"short")
    with pytest.raises(ObjectMissing):
        content_of(place, "object_1", 0, 6)


def test_the_folder_is_made_and_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_DATA_DIR", str(tmp_path / "data"))
    settings.cache_clear()
    storage.cache_clear()
    put(storage(), "object_1", b"x")
    folder = tmp_path / "data" / "files"
    assert [path.name for path in folder.iterdir()] == ["object_1"]
    assert folder.stat().st_mode & 0o077 == 0
    settings.cache_clear()
    storage.cache_clear()


class FullDisk:
    """Where opening works and writing does not."""

    protocol = "full"

    class _File:
        closed = False

        def write(self, content: bytes) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    def open(self, path: str, mode: str) -> "FullDisk._File":
        return self._File()

    def rm_file(self, path: str) -> None:
        raise FileNotFoundError(path)


def test_full_disk_is_an_outage_and_not_the_clients_fault() -> None:
    with pytest.raises(StorageUnavailable), Storage(FullDisk(), "").writing("object_1") as write:
        write(b"x")


@pytest.mark.parametrize("url", ["nonsense://somewhere", "/proc/no/folder/here"])
def test_storage_that_can_not_be_used_is_an_outage(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_STORAGE_URL", url)
    settings.cache_clear()
    storage.cache_clear()
    with pytest.raises(StorageUnavailable):
        storage()
    settings.cache_clear()

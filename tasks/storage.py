"""Where bytes of any size lie: a folder, or whatever fsspec reaches."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import fsspec.core
import structlog

from tasks.circuit import Circuit, circuit_of
from tasks.errors import StorageUnavailable
from tasks.settings import settings

_READ_BYTES = 1024 * 1024
# One object that can't be used says little of the others.
_FAILURES_IN_A_ROW = 3

log = structlog.get_logger(__name__)


class ObjectMissing(Exception):
    """Nothing lies in storage under this key."""


class Storage:
    """Objects by key. What is written is there for good once the block of ``writing`` is left."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._folder = _local_folder(filesystem, root)

    @contextmanager
    def writing(self, key: str) -> Iterator[Callable[[bytes], object]]:
        """What to write with. Leaves nothing behind where the block fails. Raises StorageUnavailable."""
        with _outages():
            handle = self._filesystem.open(self._path(key), "wb")
        try:
            yield _Pen(handle).write
            with _outages():
                _settle(handle, self._folder)
        except BaseException:
            # Whatever goes wrong here as well, the first error is the one to tell.
            with suppress(Exception):
                handle.close()
            with suppress(Exception):
                self.delete(key)
            raise

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, a piece at a time.

        Raises ObjectMissing, StorageUnavailable.
        """
        for position in range(start, end, _READ_BYTES):
            wanted = min(position + _READ_BYTES, end)
            with _outages():
                piece = self._filesystem.cat_file(self._path(key), start=position, end=wanted)
            if len(piece) < wanted - position:
                raise ObjectMissing(f"{key} ends before byte {wanted}")
            yield piece

    def delete(self, key: str) -> None:
        """Does nothing where nothing is. Raises StorageUnavailable."""
        with suppress(ObjectMissing), _outages():
            self._filesystem.rm_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


class _Handle(Protocol):
    def write(self, content: bytes, /) -> object: ...


class _Pen:
    """Writes to a file, and says so when storage is at fault."""

    def __init__(self, handle: _Handle) -> None:
        self._handle = handle

    def write(self, content: bytes) -> None:
        with _outages():
            self._handle.write(content)


@cache
def storage() -> Storage:
    """The process's storage. Raises StorageUnavailable."""
    location = settings().storage_location()
    try:
        filesystem, root = fsspec.core.url_to_fs(location)
        return Storage(filesystem, root)
    except (ImportError, ValueError, OSError) as error:
        raise _unavailable(error) from error


def _local_folder(filesystem: Any, root: str) -> Path | None:
    """The folder, made if need be, where that is what storage is."""
    protocols = filesystem.protocol
    if "file" not in ((protocols,) if isinstance(protocols, str) else protocols):
        return None
    folder = Path(root)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _settle(handle: Any, folder: Path | None) -> None:
    """Close a file, and have a disk keep it, and its name, also if the power goes."""
    if folder is not None:
        handle.flush()
        os.fsync(handle.f.fileno())
    handle.close()
    if folder is not None:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def circuit() -> Circuit:
    return circuit_of("storage", failures=_FAILURES_IN_A_ROW)


@contextmanager
def _outages() -> Iterator[None]:
    if not circuit().allows():
        raise StorageUnavailable
    try:
        yield
    except FileNotFoundError as error:
        circuit().succeeded()
        raise ObjectMissing(str(error)) from error
    except Exception as error:
        # Each kind of storage has errors of its own.
        circuit().failed()
        raise _unavailable(error) from error
    circuit().succeeded()


def _unavailable(error: Exception) -> StorageUnavailable:
    log.error("storage away", action="storage_away", cause=type(error).__name__, reason=str(error))
    return StorageUnavailable()

"""A file's bytes on their way into storage: counted, hashed and checked as they come."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from tasks import stored_objects
from tasks.errors import DatabaseUnavailable, FileTooLarge, InvalidRequest
from tasks.json_lines import JsonLinesCheck
from tasks.settings import settings
from tasks.storage import storage


class Check(Protocol):
    """Looks at content that passes by, and raises InvalidRequest when it is wrong."""

    def push(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...


class NotEmpty:
    """No check but that there is something."""

    def __init__(self) -> None:
        self._empty = True

    def push(self, chunk: bytes) -> None:
        self._empty = self._empty and not chunk

    def end(self) -> None:
        if self._empty:
            raise InvalidRequest("It is empty.", code="empty_file")


class IncomingContent:
    """Lies in storage, under ``key``, once the block that received it is left.

    ``param`` is what the client calls it.
    """

    def __init__(
        self, key: str, write: Callable[[bytes], object], check: Check, limit: int, param: str
    ) -> None:
        self.key = key
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._write = write
        self._check = check
        self._limit = limit
        self._param = param

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def take(self, chunk: bytes) -> None:
        """Raises FileTooLarge, InvalidRequest, StorageUnavailable."""
        self.bytes += len(chunk)
        if self.bytes > self._limit:
            raise FileTooLarge(f"It may have at most {self._limit} bytes.", param=self._param)
        self._sha256.update(chunk)
        with self._named():
            self._check.push(chunk)
        self._write(chunk)

    def end(self) -> None:
        """Raises InvalidRequest."""
        with self._named():
            self._check.end()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A check does not know by which parameter its content came."""
        try:
            yield
        except InvalidRequest as error:
            error.param = self._param
            raise


def receive_file(param: str) -> AbstractContextManager[IncomingContent]:
    """Content for a batch, as large as a file may be."""
    check = JsonLinesCheck(longest=settings().max_body_bytes, most=settings().max_file_lines)
    return _receive(check, settings().max_file_bytes, param)


def receive_part(param: str) -> AbstractContextManager[IncomingContent]:
    """Content that is a part of a file."""
    return _receive(NotEmpty(), settings().max_upload_part_bytes, param)


@contextmanager
def _receive(check: Check, limit: int, param: str) -> Iterator[IncomingContent]:
    """Leaves nothing behind where the block fails, or what it took does not pass the check."""
    key = stored_objects.reserve()
    try:
        with storage().writing(key) as write:
            content = IncomingContent(key, write, check, limit, param)
            yield content
            content.end()
    except BaseException:
        # Without the database, its reservation lapses.
        with suppress(DatabaseUnavailable):
            stored_objects.discard(key)
        raise

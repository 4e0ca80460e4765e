"""What is in a file, from whatever it is made of."""

from collections.abc import Iterator
from itertools import chain

from tasks import batch_files
from tasks.errors import FileNotFound
from tasks.files import FileRecord
from tasks.storage import ObjectMissing, storage


def content_length(file: FileRecord) -> int:
    """How many bytes there are to read now. Raises FileNotFound."""
    if file.view is not None:
        return batch_files.view_length(file)
    _stored_key(file)
    return file.bytes


def open_content(file: FileRecord, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from ``start`` up to ``end``, or all there are, a piece at a time.

    The first piece is read at once, so that what can't be read is known before anything is answered.

    Raises FileNotFound, StorageUnavailable.
    """
    pieces = batch_files.open_view(file, start, end) if file.view is not None else _stored(file, start, end)
    try:
        first = next(pieces, b"")
    except ObjectMissing:
        raise _not_found(file) from None
    return chain([first], pieces)


def _stored(file: FileRecord, start: int, end: int | None) -> Iterator[bytes]:
    return storage().read(_stored_key(file), start, file.bytes if end is None else end)


def _stored_key(file: FileRecord) -> str:
    if file.storage_key is None:
        raise _not_found(file)
    return file.storage_key


def _not_found(file: FileRecord) -> FileNotFound:
    return FileNotFound(f"The content of file {file.id!r} is not there.", param="file_id")

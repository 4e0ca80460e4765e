"""How large the files of ended batches are: counted once, then known."""

import hashlib
from dataclasses import replace

from sqlalchemy import select, update

from tasks import batch_files
from tasks.batch import BatchStatus
from tasks.db import transaction
from tasks.files import FileRecord
from tasks.models import Batch, File

_ENDED = [status.value for status in BatchStatus if status.ended]
_AT_ONCE = 20
_COLUMNS = tuple(getattr(File, name) for name in FileRecord.__slots__)
# What has a digest has been counted, and is content that no longer changes.
_UNMEASURED = (File.view.is_not(None), File.sha256.is_(None), File.deleted_at.is_(None))


def measured(file: FileRecord) -> FileRecord:
    """The file with its final size and digest, if it is of a batch that has ended."""
    if file.view is None or file.sha256 is not None:
        return file
    query = select(Batch.id).where(Batch.id == file.batch_id, Batch.status.in_(_ENDED))
    with transaction() as connection:
        ended = connection.execute(query).first() is not None
    return _measure(file) if ended else file


def measure_ended() -> int:
    """Count the files of batches that have ended since; returns how many."""
    query = (
        select(*_COLUMNS)
        .join(Batch, Batch.id == File.batch_id)
        .where(*_UNMEASURED, Batch.status.in_(_ENDED))
        .limit(_AT_ONCE)
    )
    with transaction() as connection:
        files = [FileRecord(**row) for row in connection.execute(query).mappings()]
    for file in files:
        _measure(file)
    return len(files)


def _measure(file: FileRecord) -> FileRecord:
    size, digest = 0, hashlib.sha256()
    for piece in batch_files.open_view(file):
        size += len(piece)
        digest.update(piece)
    values = {"bytes": size, "sha256": digest.hexdigest()}
    with transaction() as connection:
        connection.execute(update(File).where(File.id == file.id).values(values))
    return replace(file, bytes=size, sha256=digest.hexdigest())

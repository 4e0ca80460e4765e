"""Making one file of an upload's parts."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tasks.db import transaction
from tasks.errors import FileNotFound, InvalidRequest, UploadNotPending
from tasks.files import FileRecord, NewFile, add_file, get_file
from tasks.incoming import IncomingContent, receive_file
from tasks.models import UploadStatus
from tasks.storage import ObjectMissing, storage
from tasks.upload_parts import PartRecord, parts_in_order
from tasks.uploads import UploadRecord, end_upload, get_pending, get_upload, lock_pending


@dataclass(frozen=True, slots=True)
class CompletedUpload:
    """An upload, and the file it became, unless that is gone by now."""

    upload: UploadRecord
    file: FileRecord | None


def complete_upload(
    project_id: str, upload_id: str, part_ids: Sequence[str], *, md5: str | None
) -> CompletedUpload:
    """Make the file of these parts, in this order. Asking again for the same gives the same.

    Raises:
        UploadNotFound, UploadNotPending: there is nothing to complete.
        InvalidRequest: the parts are not the file that was announced, or not one that is taken here.
    """
    try:
        return _complete(project_id, upload_id, part_ids, md5)
    except UploadNotPending:
        # A client asks again whose answer was lost, perhaps while we were still at it.
        upload = get_upload(project_id, upload_id)
        if upload.part_ids != list(part_ids):
            raise
        return CompletedUpload(upload, _file_of(project_id, upload))


def _complete(project_id: str, upload_id: str, part_ids: Sequence[str], md5: str | None) -> CompletedUpload:
    upload = get_pending(project_id, upload_id)
    parts = parts_in_order(upload, part_ids)
    with receive_file("part_ids") as content:
        _put_together(parts, content, md5)
    with transaction() as connection:
        lock_pending(connection, project_id, upload_id)
        new = NewFile(
            filename=upload.filename,
            purpose=upload.purpose,
            expires_in_seconds=upload.file_expires_in_seconds,
        )
        file = add_file(connection, project_id, new, content)
        end_upload(
            connection,
            upload_id,
            status=UploadStatus.COMPLETED,
            part_ids=list(part_ids),
            file_id=file.id,
        )
    return CompletedUpload(get_upload(project_id, upload_id), file)


def _put_together(parts: Sequence[PartRecord], content: IncomingContent, md5: str | None) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        for piece in _pieces(part):
            if md5 is not None:
                digest.update(piece)
            content.take(piece)
    if md5 is not None and digest.hexdigest() != md5.lower():
        raise InvalidRequest(f"The MD5 of the file is {digest.hexdigest()}.", param="md5")


def _pieces(part: PartRecord) -> Iterator[bytes]:
    try:
        yield from storage().read(part.storage_key, 0, part.bytes)
    except ObjectMissing:
        # Only what has ended meanwhile loses its parts.
        raise UploadNotPending("The upload has ended meanwhile.", param="upload_id") from None


def _file_of(project_id: str, upload: UploadRecord) -> FileRecord | None:
    with suppress(FileNotFound):
        return get_file(project_id, upload.file_id or "")
    return None

"""Uploads: files that come in parts. Begun, completed or cancelled."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, literal, select, update

from tasks import stored_objects
from tasks.db import transaction
from tasks.errors import InvalidRequest, UploadNotFound, UploadNotPending
from tasks.files import NewFile
from tasks.ids import new_id
from tasks.models import StoredObject, Upload, UploadPart, UploadStatus
from tasks.settings import settings


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An upload as its owner sees it."""

    id: str
    filename: str
    purpose: str
    bytes: int
    file_expires_in_seconds: int
    status: UploadStatus
    part_ids: list[str] | None
    file_id: str | None
    created_at: datetime
    expires_at: datetime


_STATUS = case(
    (
        (Upload.status == UploadStatus.PENDING) & (Upload.expires_at <= func.now()),
        literal(str(UploadStatus.EXPIRED)),
    ),
    else_=Upload.status,
)
_COLUMNS = tuple(
    _STATUS.label(name) if name == "status" else getattr(Upload, name) for name in UploadRecord.__slots__
)


def create_upload(project_id: str, new: NewFile, *, size: int, mime_type: str) -> UploadRecord:
    """Raises InvalidRequest for more than a file may have."""
    if size > settings().max_file_bytes:
        raise InvalidRequest(
            f"A file may have at most {settings().max_file_bytes} bytes.",
            param="bytes",
            code="file_too_large",
        )
    values = {
        "id": new_id("upload"),
        "project_id": project_id,
        "filename": new.filename,
        "purpose": new.purpose,
        "mime_type": mime_type,
        "bytes": size,
        "file_expires_in_seconds": new.expires_in_seconds,
        "expires_at": func.now() + timedelta(seconds=settings().upload_expires_in_seconds),
    }
    with transaction() as connection:
        row = connection.execute(insert(Upload).values(values).returning(*_COLUMNS)).mappings().one()
    return _record(row)


def get_upload(project_id: str, upload_id: str) -> UploadRecord:
    """Raises UploadNotFound, also for another project's."""
    with transaction() as connection:
        return _read(connection, project_id, upload_id)


def get_pending(project_id: str, upload_id: str) -> UploadRecord:
    """Raises UploadNotFound, UploadNotPending."""
    return _require_pending(get_upload(project_id, upload_id))


def lock_pending(connection: Connection, project_id: str, upload_id: str) -> UploadRecord:
    """As ``get_pending``, and pending it stays until the caller's transaction ends."""
    return _require_pending(_lock(connection, project_id, upload_id))


def cancel_upload(project_id: str, upload_id: str) -> UploadRecord:
    """Let its parts go. One that is cancelled already stays so. Raises UploadNotFound, UploadNotPending."""
    with transaction() as connection:
        upload = _lock(connection, project_id, upload_id)
        if upload.status is UploadStatus.CANCELLED:
            return upload
        _require_pending(upload)
        end_upload(connection, upload_id, status=UploadStatus.CANCELLED)
        return _read(connection, project_id, upload_id)


def end_upload(connection: Connection, upload_id: str, *, status: UploadStatus, **values: Any) -> None:
    """In the transaction that holds its lock; the parts are of no use any more."""
    connection.execute(update(Upload).where(Upload.id == upload_id).values(status=status, **values))
    of_its_parts = select(UploadPart.storage_key).where(UploadPart.upload_id == upload_id)
    stored_objects.release(connection, StoredObject.key.in_(of_its_parts))


def _lock(connection: Connection, project_id: str, upload_id: str) -> UploadRecord:
    connection.execute(select(Upload.id).where(*_own(project_id, upload_id)).with_for_update())
    return _read(connection, project_id, upload_id)


def _read(connection: Connection, project_id: str, upload_id: str) -> UploadRecord:
    row = connection.execute(select(*_COLUMNS).where(*_own(project_id, upload_id))).mappings().first()
    if row is None:
        raise UploadNotFound(f"There is no upload {upload_id!r}.", param="upload_id")
    return _record(row)


def _record(row: Any) -> UploadRecord:
    return UploadRecord(**{**row, "status": UploadStatus(row["status"])})


def _require_pending(upload: UploadRecord) -> UploadRecord:
    if upload.status is not UploadStatus.PENDING:
        raise UploadNotPending(f"The upload is {upload.status}.", param="upload_id")
    return upload


def _own(project_id: str, upload_id: str) -> tuple[ColumnElement[bool], ...]:
    return Upload.project_id == project_id, Upload.id == upload_id

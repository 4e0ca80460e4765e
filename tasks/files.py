"""Files: made, read, listed and deleted by their project."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from tasks import stored_objects
from tasks.db import transaction
from tasks.errors import FileNotFound, InvalidRequest
from tasks.ids import new_file_id
from tasks.incoming import IncomingContent
from tasks.models import File, StoredObject


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as its owner sees it, and where its content is: in storage, or in a batch's results."""

    id: str
    project_id: str
    filename: str
    purpose: str
    bytes: int
    sha256: str | None
    storage_key: str | None
    batch_id: str | None
    view: str | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What a client says of the file it sends."""

    filename: str
    purpose: str
    expires_in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFilter:
    """Which files, and which page of them. ``after`` is a file's id, exclusive."""

    limit: int = 10_000
    after: str | None = None
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class FilePage:
    items: list[FileRecord]
    has_more: bool


_COLUMNS = tuple(getattr(File, name) for name in FileRecord.__slots__)


def create_file(project_id: str, new: NewFile, content: IncomingContent) -> FileRecord:
    """The file whose content has been received."""
    with transaction() as connection:
        return add_file(connection, project_id, new, content)


def add_file(connection: Connection, project_id: str, new: NewFile, content: IncomingContent) -> FileRecord:
    """As ``create_file``, inside the caller's transaction."""
    values = {
        "id": new_file_id(),
        "project_id": project_id,
        "filename": new.filename,
        "purpose": new.purpose,
        "bytes": content.bytes,
        "sha256": content.sha256,
        "storage_key": content.key,
        "expires_at": func.now() + timedelta(seconds=new.expires_in_seconds),
    }
    row = connection.execute(insert(File).values(values).returning(*_COLUMNS)).mappings().one()
    file = FileRecord(**row)
    until = None if file.expires_at is None else file.expires_at + stored_objects.grace()
    stored_objects.keep(connection, content.key, until=until)
    return file


def get_file(project_id: str, file_id: str) -> FileRecord:
    """Raises FileNotFound, also for another project's, and for one that has expired."""
    with transaction() as connection:
        query = select(*_COLUMNS).where(*_visible(project_id), File.id == file_id)
        row = connection.execute(query).mappings().first()
    if row is None:
        raise _not_found(file_id)
    return FileRecord(**row)


def list_files(project_id: str, wanted: FileFilter) -> FilePage:
    """A page of a project's files in the order of their creation.

    Raises:
        InvalidRequest: ``after`` names no file of this project.
    """
    newest_first = wanted.order == "desc"
    conditions = list(_visible(project_id))
    if wanted.purpose is not None:
        conditions.append(File.purpose == wanted.purpose)
    with transaction() as connection:
        if wanted.after is not None:
            _check_cursor(connection, project_id, wanted.after)
            conditions.append(File.id < wanted.after if newest_first else File.id > wanted.after)
        order = File.id.desc() if newest_first else File.id.asc()
        query = select(*_COLUMNS).where(*conditions).order_by(order).limit(wanted.limit + 1)
        rows = connection.execute(query).mappings().all()
    return FilePage([FileRecord(**row) for row in rows[: wanted.limit]], has_more=len(rows) > wanted.limit)


def delete_file(project_id: str, file_id: str) -> None:
    """Hide a file at once; its content follows, after a time for what already reads it.

    Raises FileNotFound.
    """
    statement = (
        update(File)
        .where(*_visible(project_id), File.id == file_id)
        .values(deleted_at=func.now())
        .returning(File.storage_key)
    )
    with transaction() as connection:
        deleted = connection.execute(statement).first()
        if deleted is None:
            raise _not_found(file_id)
        of_this_file = StoredObject.key == deleted.storage_key
        stored_objects.release(connection, of_this_file, after=stored_objects.grace())


def _visible(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        File.project_id == project_id,
        File.deleted_at.is_(None),
        or_(File.expires_at.is_(None), File.expires_at > func.now()),
    )


def _check_cursor(connection: Connection, project_id: str, file_id: str) -> None:
    """A file that was deleted since still has its place in the list."""
    query = select(File.id).where(File.project_id == project_id, File.id == file_id)
    if connection.execute(query).first() is None:
        raise InvalidRequest(f"after names no file: {file_id!r}.", param="after")


def _not_found(file_id: str) -> FileNotFound:
    return FileNotFound(f"There is no file {file_id!r}.", param="file_id")

"""The parts of an upload: added one by one, and put in order in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from tasks import stored_objects
from tasks.db import transaction
from tasks.errors import InvalidRequest
from tasks.ids import new_id
from tasks.incoming import IncomingContent
from tasks.models import UploadPart
from tasks.settings import settings
from tasks.uploads import UploadRecord, lock_pending

_MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part as its owner sees it, and where its content is."""

    id: str
    upload_id: str
    bytes: int
    storage_key: str
    created_at: datetime


_COLUMNS = tuple(getattr(UploadPart, name) for name in PartRecord.__slots__)


def add_part(project_id: str, upload_id: str, content: IncomingContent) -> PartRecord:
    """The part whose content has been received.

    Raises:
        UploadNotFound, UploadNotPending: there is nothing to add it to.
        InvalidRequest: more was sent than the upload can be made of.
    """
    with transaction() as connection:
        upload = lock_pending(connection, project_id, upload_id)
        _check_room(connection, upload, content)
        values = {
            "id": new_id("part"),
            "upload_id": upload_id,
            "bytes": content.bytes,
            "storage_key": content.key,
        }
        row = connection.execute(insert(UploadPart).values(values).returning(*_COLUMNS)).mappings().one()
        stored_objects.keep(connection, content.key, until=upload.expires_at + stored_objects.grace())
    return PartRecord(**row)


def parts_in_order(upload: UploadRecord, part_ids: Sequence[str]) -> list[PartRecord]:
    """What the file is to be made of. Raises InvalidRequest unless it is all of the file, and no more."""
    query = select(*_COLUMNS).where(UploadPart.upload_id == upload.id, UploadPart.id.in_(part_ids))
    with transaction() as connection:
        parts = {row["id"]: PartRecord(**row) for row in connection.execute(query).mappings()}
    for place, part_id in enumerate(part_ids):
        if part_id not in parts:
            raise InvalidRequest(
                f"The upload has no part {part_id!r}.", param=f"part_ids[{place}]", code="part_not_found"
            )
    if len(parts) != len(part_ids):
        raise InvalidRequest("part_ids names a part more than once.", param="part_ids")
    total = sum(part.bytes for part in parts.values())
    if total != upload.bytes:
        raise InvalidRequest(
            f"These parts have {total} bytes, but the upload was announced with {upload.bytes}.",
            param="part_ids",
        )
    return [parts[part_id] for part_id in part_ids]


def _check_room(connection: Connection, upload: UploadRecord, content: IncomingContent) -> None:
    """A part is sent again when its answer was lost; twice the file is room enough for that."""
    query = select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0))
    count, total = connection.execute(query.where(UploadPart.upload_id == upload.id)).one()
    if content.bytes > upload.bytes:
        raise InvalidRequest(
            f"This part is larger than the whole upload, announced with {upload.bytes} bytes.", param="data"
        )
    room = 2 * upload.bytes + settings().max_upload_part_bytes
    if count >= _MOST_PARTS or total + content.bytes > room:
        raise InvalidRequest(
            "The parts of this upload are too many, or far more than was announced.", param="data"
        )

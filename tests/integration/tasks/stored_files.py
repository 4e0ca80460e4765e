"""Files as tests put them there."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, text

from tasks.db import transaction
from tasks.files import FileRecord, NewFile, create_file
from tasks.incoming import receive_file, receive_part
from tasks.models import StoredObject
from tasks.upload_parts import PartRecord, add_part
from tasks.uploads import UploadRecord, create_upload

LINE = b'{"custom_id": "a"}\n'


def new_file(filename: str = "in.jsonl", seconds: int = 3600) -> NewFile:
    return NewFile(filename=filename, purpose="batch", expires_in_seconds=seconds)


def put_file(project_id: str, chunks: Sequence[bytes] = (LINE,), seconds: int = 3600) -> FileRecord:
    with receive_file("file") as content:
        for chunk in chunks:
            content.take(chunk)
    return create_file(project_id, new_file(seconds=seconds), content)


def begin(project_id: str, size: int) -> UploadRecord:
    return create_upload(project_id, new_file(), size=size, mime_type="application/jsonl")


def put_part(project_id: str, upload_id: str, data: bytes) -> PartRecord:
    with receive_part("data") as content:
        content.take(data)
    return add_part(project_id, upload_id, content)


def keys_in_the_books() -> set[str]:
    with transaction() as connection:
        return set(connection.execute(select(StoredObject.key)).scalars())


def let_time_pass(time: timedelta) -> None:
    """Everything about files is so much older."""
    statements = (
        "UPDATE files SET created_at = created_at - :time, expires_at = expires_at - :time",
        "UPDATE uploads SET created_at = created_at - :time, expires_at = expires_at - :time",
        "UPDATE stored_objects SET created_at = created_at - :time, erase_at = erase_at - :time",
    )
    with transaction() as connection:
        for statement in statements:
            connection.execute(text(statement), {"time": time})

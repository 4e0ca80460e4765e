"""The files API."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter

from tasks.files import FilePage, FileRecord, NewFile
from tasks.settings import settings
from tasks.wire.fields import Strict

BATCH = "batch"
BATCH_OUTPUT = "batch_output"
# What the API knows and this platform has no use for.
_OTHER_PURPOSES = frozenset({"assistants", "fine-tune", "vision", "user_data", "evals"})


def _only_for_batches(value: object) -> object:
    if value == BATCH_OUTPUT:
        raise ValueError("files of this purpose are made by batches, not uploaded")
    if value in _OTHER_PURPOSES:
        raise ValueError(f"this platform has no use for files of the purpose {value}, only for `{BATCH}`")
    return value


Purpose = Annotated[Literal["batch"], BeforeValidator(_only_for_batches)]
Filename = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
]


class ExpiresAfter(Strict):
    """When a file goes."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


class FileForm(BaseModel):
    """The form of `POST /v1/files`: everything in a form is text, and of a file its name stands here."""

    class ExpiresAfter(ExpiresAfter):
        """As `expires_after[anchor]` and `expires_after[seconds]`."""

        model_config = ConfigDict(extra="forbid", strict=False)

    model_config = ConfigDict(extra="forbid")

    file: Filename = Field(
        description="JSON lines, one request a line.", json_schema_extra={"format": "binary"}
    )
    purpose: Purpose
    expires_after: ExpiresAfter | None = None

    def new_file(self) -> NewFile:
        return new_file(self.file, self.purpose, self.expires_after)


class FileBody(BaseModel):
    """A file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = Field("processed", description="It was checked before it was accepted.")
    status_details: None = None
    expires_at: int | None


class FileListBody(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    """A file is no more."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


FILE_FORM: TypeAdapter[FileForm] = TypeAdapter(FileForm)


def new_file(filename: str, purpose: str, expires_after: ExpiresAfter | None) -> NewFile:
    seconds = settings().file_expires_in_seconds if expires_after is None else expires_after.seconds
    return NewFile(filename=filename, purpose=purpose, expires_in_seconds=seconds)


def file_body(file: FileRecord) -> FileBody:
    return FileBody(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
        expires_at=None if file.expires_at is None else int(file.expires_at.timestamp()),
    )


def file_list_body(page: FilePage) -> FileListBody:
    ids = [file.id for file in page.items]
    return FileListBody(
        data=[file_body(file) for file in page.items],
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=page.has_more,
    )

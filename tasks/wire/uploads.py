"""The uploads API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from tasks.files import NewFile
from tasks.upload_completion import CompletedUpload
from tasks.upload_parts import PartRecord
from tasks.uploads import UploadRecord
from tasks.wire.fields import NonEmpty, Strict
from tasks.wire.files import ExpiresAfter, FileBody, Filename, Purpose, file_body, new_file

_MOST_PARTS = 10_000

Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")]


class UploadRequest(Strict):
    """The body of `POST /v1/uploads`."""

    bytes: int = Field(ge=1, description="Of the whole file.")
    filename: Filename
    mime_type: Annotated[NonEmpty, StringConstraints(max_length=255)]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None

    def new_file(self) -> NewFile:
        return new_file(self.filename, self.purpose, self.expires_after)


class PartForm(BaseModel):
    """The form of `POST /v1/uploads/{upload_id}/parts`."""

    model_config = ConfigDict(extra="forbid")

    data: str = Field(description="Bytes of the file.", json_schema_extra={"format": "binary"})


class UploadCompletion(Strict):
    """The body of `POST /v1/uploads/{upload_id}/complete`."""

    part_ids: list[NonEmpty] = Field(
        min_length=1, max_length=_MOST_PARTS, description="All parts, in the order of the file."
    )
    md5: Md5 | None = Field(None, description="Of the whole file, to compare.")


class UploadBody(BaseModel):
    """An upload."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileBody | None


class PartBody(BaseModel):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str


UPLOAD_REQUEST: TypeAdapter[UploadRequest] = TypeAdapter(UploadRequest)
PART_FORM: TypeAdapter[PartForm] = TypeAdapter(PartForm)
UPLOAD_COMPLETION: TypeAdapter[UploadCompletion] = TypeAdapter(UploadCompletion)


def upload_body(upload: UploadRecord, file: FileBody | None = None) -> UploadBody:
    return UploadBody(
        id=upload.id,
        bytes=upload.bytes,
        created_at=int(upload.created_at.timestamp()),
        expires_at=int(upload.expires_at.timestamp()),
        filename=upload.filename,
        purpose=upload.purpose,
        status=upload.status.value,
        file=file,
    )


def completed_body(completed: CompletedUpload) -> UploadBody:
    file = None if completed.file is None else file_body(completed.file)
    return upload_body(completed.upload, file)


def part_body(part: PartRecord) -> PartBody:
    return PartBody(id=part.id, created_at=int(part.created_at.timestamp()), upload_id=part.upload_id)

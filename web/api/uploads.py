"""`/v1/uploads`: files that come in parts."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import upload_parts, uploads
from tasks.incoming import receive_part
from tasks.settings import settings
from tasks.upload_completion import complete_upload
from tasks.wire.uploads import (
    PART_FORM,
    UPLOAD_COMPLETION,
    UPLOAD_REQUEST,
    PartBody,
    UploadBody,
    completed_body,
    part_body,
    upload_body,
)
from web import auth, bodies, multipart
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("uploads", __name__, url_prefix="/v1/uploads")


@blueprint.post("")
@documented(
    Operation(
        tag="Uploads",
        summary="Begin a file that comes in parts",
        body=UPLOAD_REQUEST,
        replies={200: Reply("The upload.", UploadBody)},
        refusals=(400, 413, 415, 429, 503),
    )
)
def create() -> Response:
    wanted = bodies.read(UPLOAD_REQUEST)
    made = uploads.create_upload(
        auth.principal().project_id, wanted.new_file(), size=wanted.bytes, mime_type=wanted.mime_type
    )
    return _json(upload_body(made))


@blueprint.post("/<id:upload_id>/parts")
@documented(
    Operation(
        tag="Uploads",
        summary="Add a part",
        description="In any order, and several at a time.",
        form=PART_FORM,
        replies={200: Reply("The part.", PartBody)},
        refusals=(400, 404, 409, 413, 415, 429, 503),
    )
)
def add_part(upload_id: str) -> Response:
    project_id = auth.principal().project_id
    uploads.get_pending(project_id, upload_id)
    with receive_part("data") as content:
        multipart.read(PART_FORM, file="data", into=content.take, limit=settings().max_upload_part_bytes)
    return _json(part_body(upload_parts.add_part(project_id, upload_id, content)))


@blueprint.post("/<id:upload_id>/complete")
@documented(
    Operation(
        tag="Uploads",
        summary="Make the file of its parts",
        description="Checked as any uploaded file is. Sending this again gives the same file.",
        body=UPLOAD_COMPLETION,
        replies={200: Reply("The upload, with its file.", UploadBody)},
        refusals=(400, 404, 409, 413, 415, 429, 503),
    )
)
def complete(upload_id: str) -> Response:
    wanted = bodies.read(UPLOAD_COMPLETION)
    project_id = auth.principal().project_id
    return _json(completed_body(complete_upload(project_id, upload_id, wanted.part_ids, md5=wanted.md5)))


@blueprint.post("/<id:upload_id>/cancel")
@documented(
    Operation(
        tag="Uploads",
        summary="Cancel an upload",
        replies={200: Reply("The upload.", UploadBody)},
        refusals=(404, 409, 429, 503),
    )
)
def cancel(upload_id: str) -> Response:
    return _json(upload_body(uploads.cancel_upload(auth.principal().project_id, upload_id)))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

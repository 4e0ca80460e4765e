"""`/v1/files`: upload, list, read and delete files."""

from flask import Blueprint, Response, request
from pydantic import BaseModel

from tasks import files
from tasks.batch_file_sizes import measured
from tasks.incoming import receive_file
from tasks.settings import settings
from tasks.wire.files import FILE_FORM, FileBody, FileDeleted, FileListBody, file_body, file_list_body
from web import auth, multipart, queries
from web.downloads import download
from web.file_queries import FileListQuery
from web.openapi import Header, Operation, Reply, documented

blueprint = Blueprint("files", __name__, url_prefix="/v1/files")


@blueprint.post("")
@documented(
    Operation(
        tag="Files",
        summary="Upload a file",
        description="Checked while it comes: JSON lines in UTF-8, for a batch.",
        form=FILE_FORM,
        replies={200: Reply("The file.", FileBody)},
        refusals=(400, 413, 415, 429, 503),
    )
)
def create() -> Response:
    with receive_file("file") as content:
        form = multipart.read(FILE_FORM, file="file", into=content.take, limit=settings().max_file_bytes)
    return _json(file_body(files.create_file(auth.principal().project_id, form.new_file(), content)))


@blueprint.get("")
@documented(
    Operation(
        tag="Files",
        summary="List files",
        description="Newest first; `after` takes the `last_id` of a page to the next one.",
        query=FileListQuery,
        replies={200: Reply("A page of files.", FileListBody)},
        refusals=(400, 429, 503),
    )
)
def index() -> Response:
    wanted = queries.read(FileListQuery).file_filter()
    return _json(file_list_body(files.list_files(auth.principal().project_id, wanted)))


@blueprint.get("/<id:file_id>")
@documented(
    Operation(
        tag="Files",
        summary="Read what is known of a file",
        replies={200: Reply("The file.", FileBody)},
        refusals=(404, 429, 503),
    )
)
def read(file_id: str) -> Response:
    return _json(file_body(measured(files.get_file(auth.principal().project_id, file_id))))


@blueprint.get("/<id:file_id>/content")
@documented(
    Operation(
        tag="Files",
        summary="Download a file",
        headers=(
            Header("Range", "One range of bytes, such as `bytes=1000-`: 206 with just these."),
            Header("If-None-Match", "An `ETag` seen before: 304 while the content is still the same."),
        ),
        replies={
            200: Reply("Its content.", headers=("ETag", "Accept-Ranges"), media="application/octet-stream"),
            206: Reply(
                "The range asked for.", headers=("ETag", "Content-Range"), media="application/octet-stream"
            ),
            304: Reply("The content has not changed.", headers=("ETag",)),
        },
        refusals=(404, 416, 429, 503),
    )
)
def content(file_id: str) -> Response:
    response = download(files.get_file(auth.principal().project_id, file_id))
    response.make_conditional(request.environ)
    return response


@blueprint.delete("/<id:file_id>")
@documented(
    Operation(
        tag="Files",
        summary="Delete a file",
        replies={200: Reply("It is gone.", FileDeleted)},
        refusals=(404, 429, 503),
    )
)
def delete(file_id: str) -> Response:
    files.delete_file(auth.principal().project_id, file_id)
    return _json(FileDeleted(id=file_id))


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

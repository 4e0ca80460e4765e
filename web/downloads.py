"""Sending a file, or the range of it that was asked for."""

from urllib.parse import quote

from flask import Response, request
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from tasks import file_content
from tasks.files import FileRecord


def download(file: FileRecord) -> Response:
    """The file as it is now. Raises FileNotFound, RequestedRangeNotSatisfiable."""
    wanted = _wanted_range(file)
    response = _whole(file) if wanted is None else _part(file, wanted)
    response.mimetype = "application/octet-stream"
    response.accept_ranges = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers.set("Content-Disposition", "attachment", **_filename(file.filename))
    if file.sha256 is not None:
        response.set_etag(file.sha256)
    return response


def _whole(file: FileRecord) -> Response:
    response = Response(file_content.open_content(file))
    if file.view is None:
        response.content_length = file_content.content_length(file)
    else:
        # Werkzeug would hold all of it in memory to tell its length.
        response.automatically_set_content_length = False
    return response


def _part(file: FileRecord, wanted: Range) -> Response:
    length = file_content.content_length(file)
    start, end = _span(wanted, length)
    response = Response(file_content.open_content(file, start, end), 206)
    response.content_length = end - start
    response.content_range.set(start, end, length)
    return response


def _wanted_range(file: FileRecord) -> Range | None:
    """The range to send; None for all, which is also the answer to several at once."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    condition = request.if_range
    if condition.date is not None or (condition.etag is not None and condition.etag != file.sha256):
        return None
    return wanted


def _span(wanted: Range, length: int) -> tuple[int, int]:
    start, end = wanted.ranges[0]
    if start < 0:
        # The last so many bytes, or all there are.
        start = max(0, length + start)
    if start >= length:
        raise RequestedRangeNotSatisfiable(length)
    return start, length if end is None else min(end, length)


def _filename(name: str) -> dict[str, str]:
    """Headers hold ASCII; names beyond that come in a second way, which browsers prefer."""
    if name.isascii():
        return {"filename": name}
    return {
        "filename": name.encode("ascii", "replace").decode(),
        "filename*": f"UTF-8''{quote(name, safe='')}",
    }

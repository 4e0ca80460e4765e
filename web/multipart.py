"""Forms that bring a file: read piece by piece, so that no file is ever held as a whole."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from flask import request
from gunicorn.http.errors import ParseException
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from tasks.errors import ClientGone, FileTooLarge, InvalidRequest
from tasks.wire.faults import invalid_request

T = TypeVar("T")

_READ_BYTES = 256 * 1024
# Of everything in a form but its file.
_FORM_BYTES = 64 * 1024
_MOST_PARTS = 32
_MEMBER = re.compile(r"(?P<name>[^\[\]]+)\[(?P<key>[^\[\]]+)\]")


def read(adapter: TypeAdapter[T], *, file: str, into: Callable[[bytes], None], limit: int) -> T:
    """The form as the adapter's type, where the field ``file`` holds the file's name; its bytes go ``into``.

    Raises:
        InvalidRequest: it is no form, or not what is asked for here.
        FileTooLarge: as soon as that is known.
        ClientGone: it ends in the middle.
        RequestEntityTooLarge, UnsupportedMediaType: it was not parsed at all.
    """
    if (request.content_length or 0) > limit + 2 * _FORM_BYTES:
        raise FileTooLarge(f"The file may have at most {limit} bytes.", param=file)
    form = _Form(adapter, file, into)
    for event in _events(_boundary()):
        form.take(event)
    return form.value()


class _Form(Generic[T]):
    """What has come of a form."""

    def __init__(self, adapter: TypeAdapter[T], file: str, into: Callable[[bytes], None]) -> None:
        self._adapter = adapter
        self._file = file
        self._into = into
        self._fields: dict[str, Any] = {}
        self._name = ""
        self._text = bytearray()
        self._room = _FORM_BYTES

    def take(self, event: Event) -> None:
        if isinstance(event, Field | File):
            self._begin(event)
        elif isinstance(event, Data):
            self._add(event)

    def value(self) -> T:
        """Raises InvalidRequest."""
        try:
            return self._adapter.validate_python(self._fields)
        except ValidationError as error:
            raise invalid_request(error, self._fields) from None

    def _begin(self, part: Field | File) -> None:
        if not part.name:
            raise _malformed("a part has no name")
        self._name = part.name
        self._text.clear()
        if part.name == self._file:
            self._put((part.filename if isinstance(part, File) else None) or self._file)
            self._refuse_early()

    def _add(self, data: Data) -> None:
        if self._name == self._file:
            self._into(data.data)
            return
        self._room -= len(data.data)
        if self._room < 0:
            raise InvalidRequest("It is too long.", param=self._name)
        self._text += data.data
        if not data.more_data:
            self._put(self._decoded())

    def _put(self, value: str) -> None:
        member = _MEMBER.fullmatch(self._name)
        fields, name = self._fields, self._name
        if member is not None:
            fields, name = fields.setdefault(member["name"], {}), member["key"]
        if not isinstance(fields, dict) or name in fields:
            raise InvalidRequest(f"The form names {self._name!r} more than once.", param=self._name)
        fields[name] = value

    def _decoded(self) -> str:
        try:
            return self._text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("It is not UTF-8.", param=self._name) from None

    def _refuse_early(self) -> None:
        """What is wrong already need not wait for the whole file; what is missing may come behind it."""
        try:
            self._adapter.validate_python(self._fields)
        except ValidationError as error:
            if any(fault["type"] != "missing" for fault in error.errors(include_input=False)):
                raise invalid_request(error, self._fields) from None


def _events(boundary: bytes) -> Iterator[Event]:
    decoder = MultipartDecoder(boundary, _READ_BYTES + _FORM_BYTES, max_parts=_MOST_PARTS)
    received = 0
    event: Event | None = None
    while not isinstance(event, Epilogue):
        try:
            event = decoder.next_event()
        except ValueError as error:
            raise _unreadable(received) from error
        if isinstance(event, NeedData):
            chunk = _next_chunk()
            received += len(chunk)
            _feed(decoder, chunk)
        else:
            yield event


def _feed(decoder: MultipartDecoder, chunk: bytes) -> None:
    try:
        decoder.receive_data(chunk or None)
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge("The form has more around its file than is read here.") from None


def _next_chunk() -> bytes:
    try:
        return request.stream.read(_READ_BYTES)
    except OSError as error:
        # A body in chunks whose end never came.
        raise ClientGone from error
    except ParseException as error:
        raise _malformed("its chunks are not well made") from error


def _boundary() -> bytes:
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(
            "The body must be a form with a file, with the header `Content-Type: multipart/form-data`."
        )
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii():
        raise _malformed("its Content-Type names no boundary")
    return boundary.encode()


def _unreadable(received: int) -> Exception:
    if request.content_length is not None and received < request.content_length:
        return ClientGone()
    return _malformed("it ends too early, or has a part without a Content-Disposition")


def _malformed(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The body is not a valid form: {reason}.", code="invalid_form")

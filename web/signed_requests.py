"""Signatures on requests: the headers they come in, and the bodies they hold for."""

import hmac
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO

from flask import g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from tasks.errors import AuthenticationFailed, ClientGone, InvalidRequest
from tasks.settings import settings
from tasks.signatures import SignedRequest

TIMESTAMP = "X-Tokenmill-Timestamp"
NONCE = "X-Tokenmill-Nonce"
CONTENT_SHA256 = "X-Tokenmill-Content-SHA256"
SIGNATURE = "X-Tokenmill-Signature"
HEADERS = (TIMESTAMP, NONCE, CONTENT_SHA256, SIGNATURE)

_READ_BYTES = 256 * 1024
# Larger bodies wait on disk until all of them has been seen.
_IN_MEMORY_BYTES = 1024 * 1024
# Of a form around the largest file.
_FORM_BYTES = 128 * 1024


def signed_request() -> SignedRequest | None:
    """What the request being served says of itself; None where it is not signed.

    Raises AuthenticationFailed where it is signed by half: what was meant to be checked is never ignored.
    """
    given = [request.headers.get(name) for name in HEADERS]
    if not any(given):
        return None
    missing = next((name for name, value in zip(HEADERS, given, strict=True) if value is None), None)
    if missing is not None:
        raise AuthenticationFailed(f"The header {missing} is missing.", code="invalid_signature")
    return SignedRequest(
        method=request.method,
        target=_target(),
        timestamp=request.headers[TIMESTAMP],
        nonce=request.headers[NONCE],
        body_sha256=request.headers[CONTENT_SHA256],
        signature=request.headers[SIGNATURE],
    )


def check_body(signed: SignedRequest) -> None:
    """Read the body, and let the request go on with it only if it is the one that was signed.

    Raises AuthenticationFailed, RequestEntityTooLarge, ClientGone, InvalidRequest.
    """
    # Closed when the request is over.
    g.signed_body = spool = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
    body_sha256 = sha256()
    size = 0
    stream = get_input_stream(request.environ)
    while chunk := _read(stream):
        size += len(chunk)
        if size > settings().max_file_bytes + _FORM_BYTES:
            raise RequestEntityTooLarge(f"A body may have at most {settings().max_file_bytes} bytes.")
        body_sha256.update(chunk)
        spool.write(chunk)
    if not hmac.compare_digest(body_sha256.hexdigest(), signed.body_sha256):
        raise AuthenticationFailed("The body is not the one that was signed.", code="invalid_signature")
    spool.seek(0)
    request.environ["wsgi.input"] = spool
    request.environ["wsgi.input_terminated"] = True


def close_body(error: BaseException | None) -> None:
    """When a request is over: what was written to disk for it goes."""
    spool = g.pop("signed_body", None)
    if spool is not None:
        spool.close()


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(_READ_BYTES)
    except OSError as error:
        raise ClientGone from error
    except ParseException as error:
        raise InvalidRequest("The body's chunks are not well made.", code="invalid_body") from error


def _target() -> str:
    """The path and the query as they were sent: decoding and encoding again could change them."""
    raw: str = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path
    return raw

"""The HTTP side of a client of batches. What only reads is tried again while the platform is away."""

import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx

from web.batch_client.batch import RemoteBatch
from web.batch_client.errors import ApiRefusal, ClientFailure

Advance = Callable[[int], object]
"""Told how many bytes more are through."""

_PAGE = 100
_FILES_PAGE = 10_000
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 300.0
# A batch runs for hours: a platform that restarts meanwhile should not end the watching.
_PATIENCE_SECONDS = 300.0
_LONGEST_PAUSE_SECONDS = 15.0
_PASSING = frozenset({429, 502, 503, 504})
_GONE = "Can't reach {url}: {reason}."


class BatchApi:
    """Files and batches of the project that the key belongs to."""

    def __init__(self, url: str, key: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self.url = _base(url)
        self._patience_seconds = patience_seconds
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
            # A proxy in the environment knows nothing of this machine's own ports.
            trust_env=not _is_loopback(self.url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def upload(self, content: Path, filename: str, advance: Advance) -> str:
        """The id of the new file."""
        with content.open("rb") as file:
            form = {"file": (filename, _Counted(file, advance), "application/jsonl")}
            answer = self._once("POST", "/files", data={"purpose": "batch"}, files=form)
        file_id: str = answer["id"]
        return file_id

    def find_file(self, filename: str, size: int, until: float) -> str | None:
        """A file of this name and size that is there until then, from an earlier run."""
        query = {"purpose": "batch", "limit": _FILES_PAGE}
        for file in self._get("/files", query)["data"]:
            stays = file["expires_at"] is None or file["expires_at"] > until
            if file["filename"] == filename and file["bytes"] == size and stays:
                file_id: str = file["id"]
                return file_id
        return None

    def create(self, wanted: Mapping[str, Any]) -> RemoteBatch:
        return RemoteBatch.of(self._once("POST", "/batches", json=wanted))

    def estimate(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return self._once("POST", "/batches/estimate", json=wanted)

    def batch(self, batch_id: str) -> RemoteBatch:
        return RemoteBatch.of(self._get(f"/batches/{batch_id}"))

    def cancel(self, batch_id: str) -> RemoteBatch:
        return RemoteBatch.of(self._once("POST", f"/batches/{batch_id}/cancel"))

    def batches(self) -> Iterator[RemoteBatch]:
        """All, newest first."""
        after: dict[str, str] = {}
        while True:
            page = self._get("/batches", {"limit": _PAGE, **after})
            yield from map(RemoteBatch.of, page["data"])
            if not page["has_more"]:
                return
            after = {"after": page["last_id"]}

    def download(self, file_id: str, into: IO[bytes], advance: Advance) -> None:
        """The content of a file, taken up where it broke off."""
        got = 0
        waiting = _Patience(self._patience_seconds)
        while True:
            try:
                for chunk in self._content(file_id, got):
                    into.write(chunk)
                    got += len(chunk)
                    advance(len(chunk))
                    waiting = _Patience(self._patience_seconds)
            except (httpx.TransportError, _Passing) as error:
                waiting.pause(self._failure(error), error)
            else:
                return

    def _content(self, file_id: str, start: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._http.stream("GET", f"/files/{file_id}/content", headers=headers) as answer:
            # Nothing may have been left.
            if start and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            if answer.is_error:
                answer.read()
            _check(answer)
            yield from answer.iter_bytes()

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        waiting = _Patience(self._patience_seconds)
        while True:
            try:
                return _check(self._http.get(path, params=query)).json()
            except (httpx.TransportError, _Passing) as error:
                waiting.pause(self._failure(error), error)

    def _once(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """What changes something is not sent twice: whether it did is not known."""
        try:
            return _check(self._http.request(method, path, **request)).json()
        except (httpx.TransportError, _Passing) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ClientFailure:
        if isinstance(error, _Passing):
            return error.refusal
        return ClientFailure(_GONE.format(url=self.url, reason=str(error) or type(error).__name__))


class _Passing(Exception):
    """A refusal that may be over in a moment."""

    def __init__(self, refusal: ApiRefusal, pause_seconds: float) -> None:
        self.refusal = refusal
        self.pause_seconds = pause_seconds


class _Patience:
    """Pauses that grow, until there has been enough of them."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._pause_seconds = 0.25

    def pause(self, failure: ClientFailure, error: Exception) -> None:
        """Raises the failure when the time is up."""
        if time.monotonic() >= self._until:
            raise failure from error
        asked = error.pause_seconds if isinstance(error, _Passing) else 0.0
        time.sleep(min(max(self._pause_seconds, asked), _LONGEST_PAUSE_SECONDS))
        self._pause_seconds *= 2


class _Counted:
    """A file that says how far it has been read."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._advance(len(chunk))
        return chunk

    def fileno(self) -> int:
        return self._file.fileno()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)


def _check(answer: httpx.Response) -> httpx.Response:
    """Raises ApiRefusal, _Passing."""
    if not answer.is_error:
        return answer
    refusal = _refusal(answer)
    if answer.status_code in _PASSING and answer.headers.get("x-should-retry") != "false":
        raise _Passing(refusal, _seconds(answer.headers.get("Retry-After", "")))
    raise refusal


def _refusal(answer: httpx.Response) -> ApiRefusal:
    try:
        error = answer.json()["error"]
        return ApiRefusal(error["message"], status=answer.status_code, code=error["code"])
    except (ValueError, KeyError, TypeError):
        message = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}."
        return ApiRefusal(message, status=answer.status_code, code=None)


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0


def _base(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url}/v1"


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

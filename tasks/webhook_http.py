"""One request to somebody else's server: to a checked address, within a set time, for a status alone."""

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpcore
import httpx
from httpcore import NetworkBackend, NetworkStream

from tasks.errors import WebhookUnreachable
from tasks.settings import settings
from tasks.webhook_addresses import Resolve, is_public, resolve
from tasks.webhook_urls import Target

# Of the answer: enough to say what was wrong with it.
_EXCERPT_BYTES = 256
_MOST_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a try went. ``error`` is null where it went well."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None

    @property
    def delivered(self) -> bool:
        return self.error is None


class Sender:
    """Sends bodies. Every connection is new, and none is made to an address that is not allowed."""

    def __init__(self, find: Resolve = resolve) -> None:
        self._find = find

    def send(self, target: Target, body: str, headers: Mapping[str, str]) -> Attempt:
        """Never raises for what the other side does. A redirect is not followed: it is a wrong answer."""
        started_at, begun = datetime.now(UTC), time.monotonic()
        status_code: int | None = None
        try:
            status_code, excerpt = self._post(target, body, headers)
            error = None if 200 <= status_code < 300 else _wrong_answer(status_code, excerpt)
        except WebhookUnreachable as refused:
            error = refused.message
        except (httpcore.TimeoutException, TimeoutError):
            error = f"There was no answer within {settings().webhook_timeout_seconds:g} s."
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as failed:
            error = f"The connection failed ({type(failed).__name__}: {_readable(str(failed))})."
        return Attempt(started_at, int((time.monotonic() - begun) * 1000), status_code, error)

    def _post(self, target: Target, body: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + settings().webhook_timeout_seconds
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = {
            "Host": target.host_header,
            "Content-Type": "application/json",
            "User-Agent": "Tokenmill-Webhooks/1",
            "Connection": "close",
            **headers,
        }
        backend = GuardedBackend(self._find, deadline)
        with (
            httpcore.ConnectionPool(ssl_context=_trusted(), network_backend=backend) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body.encode()) as response,
        ):
            excerpt = b"" if 200 <= response.status < 300 else _first_bytes(response)
            return response.status, excerpt


class GuardedBackend(NetworkBackend):
    """Connects to addresses it has checked, by number, so that no second look-up can tell otherwise."""

    def __init__(self, find: Resolve, deadline: float) -> None:
        self._find = find
        self._deadline = deadline
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        failure: Exception = WebhookUnreachable("The host has no address.")
        for address in self._checked(host, port)[:_MOST_ADDRESSES]:
            try:
                left = _left(self._deadline)
                return _Hurried(self._system.connect_tcp(address, port, left), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _checked(self, host: str, port: int) -> list[str]:
        """Every address must be allowed: one that is not, beside others, is a trap. Raises OSError."""
        try:
            found = self._find(host, port)
        except (OSError, UnicodeError) as error:
            raise WebhookUnreachable("The host's name can't be resolved.") from error
        allowed = settings().webhook_allow_private_addresses or all(is_public(address) for address in found)
        if not allowed:
            # Its number stays out: it would tell what names mean inside this network.
            raise WebhookUnreachable("The host's name leads to an address that is not public.")
        return found


class _Hurried(NetworkStream):
    """A connection on which all waits together are bounded, however slowly bytes trickle in."""

    def __init__(self, stream: NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Hurried(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@cache
def _trusted() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than many a request."""
    return httpx.create_ssl_context()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.TimeoutException
    return left


def _first_bytes(response: httpcore.Response) -> bytes:
    content = b""
    for chunk in response.iter_stream():
        content += chunk
        if len(content) >= _EXCERPT_BYTES:
            break
    return content[:_EXCERPT_BYTES]


def _wrong_answer(status_code: int, excerpt: bytes) -> str:
    if 300 <= status_code < 400:
        return f"It answered {status_code}; redirects are not followed."
    said = _readable(excerpt.decode(errors="replace"))
    return f"It answered {status_code}: {said}" if said else f"It answered {status_code}."


def _readable(text: str) -> str:
    """On one line, without what a log or a database can't bear."""
    return "".join(char if char.isprintable() else " " for char in text)[:_EXCERPT_BYTES].strip()

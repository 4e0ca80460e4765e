"""A client of server-sent events, with its hands on the connection."""

import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.services.server_events import events as server_events


class EventSource:
    """An open stream of a platform's events; a context manager that hangs up."""

    def __init__(self, url: str, headers: dict[str, str], last_id: str | None = None) -> None:
        sent = headers if last_id is None else {**headers, "Last-Event-ID": last_id}
        # Reading the system's certificates takes longer than the requests.
        self._client = httpx.Client(timeout=90, verify=False)  # noqa: S501
        self._response = self._client.send(self._client.build_request("GET", url, headers=sent), stream=True)
        self.last_id: str | None = last_id
        self.status = self._response.status_code
        self.headers = self._response.headers

    def __enter__(self) -> "EventSource":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()
        self._client.close()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and data, as they come; ``last_id`` is that of the last one."""
        for event in server_events(self._response):
            self.last_id = event.id or self.last_id
            yield event.name, event.json()


def tokens(events: Iterator[tuple[str, dict[str, Any]]], at_most: int | None = None) -> list[dict[str, Any]]:
    """The token events up to so many, or to the end."""
    found: list[dict[str, Any]] = []
    for name, data in events:
        if name == "tokens":
            found.append(data)
            if len(found) == at_most:
                break
    return found


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece["text"] for piece in pieces)


def open_and_never_read(url: str, headers: dict[str, str]) -> socket.socket:
    """A client that asks for a stream and then sits there."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = socket.create_connection((parts.hostname, parts.port or 80))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    time.sleep(0.2)
    return connection

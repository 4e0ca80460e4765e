"""Server-sent events: how a stream is written."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Response

from tasks.settings import settings
from tasks.wire.chunks import Event, Piece
from web.disconnects import SOCKET

HEARTBEAT = b": still here\n\n"
END = "end"
"""The id of a stream's last event."""

_HEADERS = {
    "Cache-Control": "no-cache",
    # Proxies would hold events back until they have more of them.
    "X-Accel-Buffering": "no",
}


class Position:
    """How far a stream has come: the pieces of each output that were sent, joined by dots."""

    def __init__(self, outputs: int) -> None:
        self._counts = [0] * outputs

    def take(self, piece: Piece) -> None:
        self._counts[piece.choice] += 1

    def __str__(self) -> str:
        return ".".join(map(str, self._counts)) or "0"


def frame(event: Event, event_id: object = None) -> bytes:
    """An event as it is sent; the id is what a client that comes back says it has seen."""
    lines = [] if event_id is None else [f"id: {event_id}"]
    if event.event is not None:
        lines.append(f"event: {event.event}")
    # JSON has no line breaks of its own; a text with some would be cut into lines.
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def frames(events: list[Event], event_id: object = None) -> bytes:
    """Events that belong together: only with the last of them is the position reached."""
    last = len(events) - 1
    return b"".join(frame(event, event_id if place == last else None) for place, event in enumerate(events))


def error_frame(body: dict[str, object]) -> bytes:
    """Why a stream ends early."""
    return frame(Event(data=json.dumps(body), event="error"))


def response(stream: Iterator[bytes], environ: dict[str, Any]) -> Response:
    """The response that sends a stream as it comes; a client that reads nothing is dropped in time."""
    connection = environ.get(SOCKET)
    if connection is not None:
        connection.settimeout(settings().send_timeout_seconds)
    answer = Response(stream, content_type="text/event-stream; charset=utf-8")
    answer.headers.update(_HEADERS)
    return answer

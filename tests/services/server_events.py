"""Server-sent events as they come over a connection that may break at any byte."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """``id`` is the last one seen up to here."""

    id: str | None
    name: str
    data: str

    def json(self) -> Any:
        return json.loads(self.data)


def events(answer: httpx.Response) -> Iterator[ServerEvent]:
    """Whole events only: what was cut short was not sent. Raises httpx.TransportError."""
    its_id, name, data = None, "", []
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            its_id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            yield ServerEvent(its_id, name, "\n".join(data))
            name, data = "", []

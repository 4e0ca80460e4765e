"""Reads what a GGUF file says about itself, without its weights.

The ``gguf`` package reads it too, but takes seconds for a vocabulary, and processes that only
tokenize need not have it installed.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from inference.errors import ModelLoadError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?"))) | {10: "Q", 11: "q", 12: "d"}
STRING = 8
ARRAY = 9


def read_gguf_metadata(path: Path) -> dict[str, Any]:
    """The key-value pairs at the start of the file. Raises ModelLoadError, also when it is cut off."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Cursor(content).read_header()
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ModelLoadError(f"{path} is no GGUF file that can be read: {error}") from error


class _Cursor:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._position = 0

    def read_header(self) -> dict[str, Any]:
        magic, version = self._take("4sI")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError(f"it starts with {magic!r}, version {version}")
        _, pairs = self._take("QQ")
        return {self._string(): self._value(*self._take("I")) for _ in range(pairs)}

    def _take(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        values = struct.unpack_from(layout, self._content, self._position)
        self._position += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._take("Q")
        start = self._position
        self._position += length
        return self._content[start : self._position].decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._take(SCALARS[kind])[0]
        item_kind, length = self._take("IQ")
        if item_kind in SCALARS:
            return list(self._take(f"{length}{SCALARS[item_kind]}"))
        return [self._value(item_kind) for _ in range(length)]

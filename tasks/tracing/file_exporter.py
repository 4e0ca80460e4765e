"""Spans as lines of JSON in a file, for looking at traces without a collector."""

import os
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class FileExporter(SpanExporter):
    """Appends to a file that several processes may share: each batch is one write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Raises OSError where the file can't be written."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lines = "".join(f"{span.to_json(indent=None)}\n" for span in spans).encode()
        written = os.write(self._file, lines)
        return SpanExportResult.SUCCESS if written == len(lines) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

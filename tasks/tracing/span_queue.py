"""From ended spans to exporters, by a thread of its own: nobody who ends a span ever waits."""

import threading
from collections import deque
from collections.abc import Sequence

import structlog
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_MOST_WAITING = 8192
_BATCH = 512
_EVERY_SECONDS = 1.0
_LAST_WORDS_SECONDS = 2.0

log = structlog.get_logger(__name__)


class SpanQueue(SpanProcessor):
    """Spans on their way out. ``dropped`` counts those that had no room, or that no exporter took.

    That some are lost is logged once, and once more when they get through again.
    """

    def __init__(
        self,
        exporters: Sequence[SpanExporter],
        most: int = _MOST_WAITING,
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        self.dropped = 0
        self._exporters = exporters
        self._most = most
        self._every_seconds = every_seconds
        self._waiting: deque[ReadableSpan] = deque()
        self._exporting = 0
        self._told = 0
        self._losing = False
        self._hurried = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def on_end(self, span: ReadableSpan) -> None:
        """Called for every span that is recorded."""
        with self._changed:
            if self._closed or len(self._waiting) >= self._most:
                self.dropped += 1
                return
            self._waiting.append(span)
            if self._thread is None:
                # With the first span, so never before a fork.
                self._thread = threading.Thread(target=self._run, name="tokenmill-traces", daemon=True)
                self._thread.start()
            elif len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether everything that waited has been exported, or given up, in time."""
        with self._changed:
            self._hurried = bool(self._waiting)
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: not (self._waiting or self._exporting), timeout_millis / 1000
            )

    def shutdown(self) -> None:
        """Export what waits, for a moment; from the second call on nothing happens."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_LAST_WORDS_SECONDS)
        for exporter in self._exporters:
            exporter.shutdown()

    def _run(self) -> None:
        while batch := self._next():
            errors = [self._export(exporter, batch) for exporter in self._exporters]
            error = next(filter(None, errors), None)
            with self._changed:
                self._exporting = 0
                self.dropped += 0 if error is None else len(batch)
                self._changed.notify_all()
            self._tell(error)

    def _next(self) -> list[ReadableSpan]:
        """What is to go out together; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._changed.wait_for(self._is_due, self._every_seconds)
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self._exporting = len(batch)
            self._hurried = self._hurried and bool(self._waiting)
            return batch

    def _is_due(self) -> bool:
        return self._closed or self._hurried or len(self._waiting) >= _BATCH

    def _export(self, exporter: SpanExporter, batch: Sequence[ReadableSpan]) -> str | None:
        """What went wrong, if anything."""
        try:
            done = exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:
            return type(error).__name__
        return None if done else "refused, or out of reach"

    def _tell(self, error: str | None) -> None:
        lost = self.dropped > self._told
        self._told = self.dropped
        if lost and not self._losing:
            reason = error or "more spans than can be exported"
            log.warning("traces are lost", action="traces_lost", spans=self.dropped, error=reason)
        elif self._losing and not lost:
            log.info("traces get through again", action="traces_back", spans_lost=self.dropped)
        self._losing = lost

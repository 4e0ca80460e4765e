"""Recording by OpenTelemetry. Only ``tasks.tracing.recording`` imports this, and only where it is on."""

import atexit
import os
import socket
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from tasks.settings import settings
from tasks.tracing.context import TraceContext
from tasks.tracing.file_exporter import FileExporter
from tasks.tracing.span_queue import SpanQueue

Kind = Literal["internal", "server", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool | Sequence[str] | None]

_EXPORT_TIMEOUT_SECONDS = 5
_COLLECTOR_PATH = "/v1/traces"


class Span:
    """A step that goes on, until ``over``. ``context`` is what steps below it hang under."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self.over = False
        self.context = _ours(span.get_span_context())

    def note(self, attributes: Attributes) -> None:
        if not self.over:
            self._span.set_attributes(_given(attributes))

    def fail(self, error_type: str) -> None:
        """It went wrong; an error's own words may quote a prompt, so only its kind is kept."""
        if not self.over:
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self, at_ns: int | None = None) -> None:
        """From the second call on nothing happens."""
        if not self.over:
            self.over = True
            self._span.end(at_ns)


class Tracer:
    """Records steps. Times are nanoseconds since 1970."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext | None,
        attributes: Attributes,
        *,
        begun_ns: int | None = None,
        linked: TraceContext | None = None,
    ) -> Span:
        """A step below ``parent``, or the first one of a trace, which may be ``linked`` to another."""
        links = [] if linked is None else [Link(_theirs(linked))]
        above = Context()
        if parent is not None:
            above = set_span_in_context(NonRecordingSpan(_theirs(parent)), above)
        return Span(
            self._tracer.start_span(
                name,
                context=above,
                kind=SpanKind[kind.upper()],
                attributes=_given(attributes),
                links=links,
                start_time=begun_ns,
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def record(
        self, name: str, parent: TraceContext, begun_ns: int, ended_ns: int, attributes: Attributes
    ) -> None:
        """A step that is over."""
        if parent.sampled:
            span = self.begin(name, "internal", parent, attributes, begun_ns=begun_ns)
            span.end(max(begun_ns, ended_ns))


def new_tracer(role: str) -> Tracer:
    """The tracer of a kind of process; those of one process share a queue."""
    resource = Resource(
        {
            "service.name": f"tokenmill-{role}",
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "process.pid": os.getpid(),
        }
    )
    sampler = ParentBased(TraceIdRatioBased(settings().traces_sample_ratio))
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_queue())
    return Tracer(provider.get_tracer("tokenmill"))


def close_queue() -> None:
    """Export what waits for it; what ends from now on goes nowhere."""
    _queue().shutdown()
    _queue.cache_clear()


@cache
def _queue() -> SpanQueue:
    queue = SpanQueue(_exporters())
    atexit.register(queue.shutdown)
    return queue


def _exporters() -> list[SpanExporter]:
    exporters: list[SpanExporter] = []
    file, endpoint = settings().traces_file, settings().traces_endpoint
    if file is not None:
        exporters.append(FileExporter(file))
    if endpoint is not None:
        # Brings an HTTP client and protobuf, which a file needs neither of.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        url = endpoint if _has_path(endpoint) else endpoint.rstrip("/") + _COLLECTOR_PATH
        exporters.append(OTLPSpanExporter(endpoint=url, timeout=_EXPORT_TIMEOUT_SECONDS))
    return exporters


def _has_path(url: str) -> bool:
    return "/" in url.partition("://")[2].rstrip("/")


def _given(attributes: Attributes) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _ours(span: Any) -> TraceContext:
    return TraceContext(
        trace_id=f"{span.trace_id:032x}",
        span_id=f"{span.span_id:016x}",
        sampled=span.trace_flags.sampled,
        tracestate=span.trace_state.to_header() or None,
    )


def _theirs(context: TraceContext) -> SpanContext:
    return SpanContext(
        trace_id=int(context.trace_id, 16),
        span_id=int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(context.sampled),
        trace_state=TraceState.from_header([context.tracestate]) if context.tracestate else None,
    )

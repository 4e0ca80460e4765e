"""Where a step belongs: its trace, and the step above it (W3C Trace Context)."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_LONGEST_TRACESTATE = 512


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A step to hang others under; ``sampled`` is whether anybody records them.

    ``tracestate`` is what other tracers have to say of it, handed on as it came.
    """

    trace_id: str
    span_id: str
    sampled: bool
    tracestate: str | None = None

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def parse(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The context that two headers, or two columns, hold; None for anything that is not one."""
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    # Versions to come may add fields; of the first, more is an error.
    if version == "ff" or (version == "00" and more) or not (int(trace_id, 16) and int(span_id, 16)):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), _fit(tracestate))


def columns(context: TraceContext | None) -> dict[str, str | None]:
    """A context as a row keeps it."""
    if context is None:
        return {"traceparent": None, "tracestate": None}
    return {"traceparent": context.traceparent, "tracestate": context.tracestate}


def current() -> TraceContext | None:
    """The step that this thread works on; None where it is not traced."""
    return _current.get()


def enter(context: TraceContext | None) -> None:
    """From now on this thread works on another step."""
    _current.set(context)


def trace_fields(context: TraceContext | None) -> Mapping[str, str]:
    """What finds the trace, for log lines."""
    return {} if context is None else {"trace_id": context.trace_id}


def _fit(tracestate: str | None) -> str | None:
    if not tracestate or len(tracestate) > _LONGEST_TRACESTATE:
        return None
    return tracestate if tracestate.isascii() and tracestate.isprintable() else None


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)

"""The door to recording: where tracing is off, nothing lies behind it, not even an import."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from tasks.settings import settings
from tasks.tracing.context import TraceContext

if TYPE_CHECKING:
    from tasks.tracing.tracer import Attributes, Tracer

Role = Literal["web", "worker", "scheduler"]

_tracers: dict[Role, "Tracer"] = {}
_lock = threading.Lock()


def tracer(role: Role) -> "Tracer | None":
    """What records the steps of a kind of process; None where tracing is off."""
    if not settings().traced:
        return None
    with _lock:
        if role not in _tracers:
            from tasks.tracing.tracer import new_tracer

            _tracers[role] = new_tracer(role)
        return _tracers[role]


def prepare(role: Role) -> None:
    """Load what records, so that neither its time nor a fault in its settings falls on a request."""
    tracer(role)


@contextmanager
def step(
    role: Role, name: str, parent: TraceContext | None, attributes: "Attributes | None" = None
) -> Iterator[None]:
    """The block as a step below ``parent``; without one, or with tracing off, it is just run."""
    recorder = None if parent is None else tracer(role)
    if recorder is None:
        yield
        return
    span = recorder.begin(name, "internal", parent, attributes or {})
    try:
        yield
    except BaseException as error:
        span.fail(type(error).__name__)
        raise
    finally:
        span.end()


def close() -> None:
    """Export what waits for it, for processes that end without running their exit handlers."""
    with _lock:
        if _tracers:
            from tasks.tracing.tracer import close_queue

            close_queue()
            _tracers.clear()

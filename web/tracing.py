"""A step for every request, under its caller's where the caller has one (W3C Trace Context)."""

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, get_contextvars

from tasks.settings import settings
from tasks.tracing import context, recording

# Probes come every few seconds and lead nowhere.
_UNTRACED_BLUEPRINTS = frozenset({"health", "metrics"})


def install(app: Flask) -> None:
    """Where tracing is off, requests take no notice of it."""
    if settings().traced:
        recording.prepare("web")
        app.before_request(_begin)
        app.after_request(_finish)


def _begin() -> None:
    # Threads are reused: what comes now is no part of the last request.
    context.enter(None)
    tracer = None if request.blueprint in _UNTRACED_BLUEPRINTS else recording.tracer("web")
    if tracer is None:
        return
    route = request.url_rule.rule if request.url_rule else None
    parent = context.parse(request.headers.get("traceparent"), request.headers.get("tracestate"))
    g.span = tracer.begin(
        request.method if route is None else f"{request.method} {route}",
        "server",
        parent,
        {
            "http.request.method": request.method,
            "http.route": route,
            "url.scheme": request.scheme,
            "tokenmill.request.id": g.request_id,
        },
    )
    context.enter(g.span.context)
    bind_contextvars(**context.trace_fields(g.span.context))


def _finish(response: Response) -> Response:
    span = g.pop("span", None)
    if span is not None:
        span.note(
            {
                "http.response.status_code": response.status_code,
                "tokenmill.project.id": g.principal.project_id if "principal" in g else None,
                "tokenmill.job.id": get_contextvars().get("job_id"),
            }
        )
        if response.status_code >= 500:
            span.fail(str(response.status_code))
        response.headers["traceparent"] = span.context.traceparent
        # A stream goes on for as long as its client reads.
        response.call_on_close(span.end)
    return response

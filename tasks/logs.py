"""Log lines: one shape for every process, JSON for machines or text for people.

A line says what happened in `event`, which kind of thing it was in `action`, and to what in fields
such as `job_id`. Prompts, outputs and keys are never logged; personal data that comes along with an error is
taken out of every line, whoever wrote it.
"""

import logging
import sys

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from tasks import log_fields, redaction
from tasks.settings import settings

# What inference, which logs through the standard library, may add to its lines.
_FIELDS = (
    *("action", "job_id", "request_id", "model", "quantization", "dtype", "device", "load_seconds"),
    *("rows", "tokens", "seconds", "stack", "error"),
)

OURS = ("web", "tasks", "inference")
# Each task taken and done, each round of the timetable: our own lines say it better, with a job's id.
_TALKATIVE = ("celery.beat", "celery.app.trace", "celery.worker.strategy")


def configure() -> None:
    """Send every logger of this process, the libraries' too, to stderr in the configured form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.ExtraAdder(allow=_FIELDS),
                *_SHARED,
                _name_foreign_action,
            ],
            processors=[ProcessorFormatter.remove_processors_meta, *_renderers(_as_json())],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    level = _level(settings().log_level)
    for name in (*OURS, "celery", "gunicorn.error"):
        logging.getLogger(name).setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # It warns of ETA tasks, of which there are none.
    logging.getLogger("kombu.transport.native_delayed_delivery").setLevel(logging.ERROR)
    # What it loses is counted, and said once, by `tasks.tracing`.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _name_foreign_action(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A library knows nothing of actions: its logger's name stands in."""
    record: logging.LogRecord = event["_record"]
    event.setdefault("action", record.name)
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    log_fields.add,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _renderers(as_json: bool) -> list[Processor]:
    # A traceback becomes words before it is looked through. Never with local variables: prompts are
    # among them.
    words: list[Processor] = [structlog.processors.format_exc_info, redaction.redact_event]
    if as_json:
        return [*words, structlog.processors.JSONRenderer()]
    return [
        *words,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        ),
    ]


def _as_json() -> bool:
    if settings().log_format == "auto":
        return not sys.stderr.isatty()
    return settings().log_format == "json"


def _level(name: str) -> int:
    levels = logging.getLevelNamesMapping()
    if name.upper() not in levels:
        raise ValueError(f"TOKENMILL_LOG_LEVEL is {name!r}; it must be one of {', '.join(levels)}")
    return levels[name.upper()]

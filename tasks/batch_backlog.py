"""What waits already before a new batch: one that could not begin within its window is not taken."""

import json
import threading
from contextlib import suppress
from time import monotonic

from inference.errors import UnknownModel
from tasks import throughput
from tasks.backpressure import QueueFull
from tasks.errors import StorageUnavailable
from tasks.files import FileRecord
from tasks.retry_after import clamped
from tasks.settings import settings
from tasks.storage import ObjectMissing, storage
from tasks.throughput import Throughput

_FIRST_LINE_BYTES = 64 * 1024
_MEASURED_SECONDS = 30.0

_measured: dict[str, tuple[float, Throughput | None]] = {}
_measuring = threading.Lock()


def check(file: FileRecord, window_seconds: float) -> None:
    """Raises QueueFull, DatabaseUnavailable."""
    model = _model_of(file)
    measured = None if model is None else _throughput(model)
    if measured is None:
        return
    backlog_seconds = measured.seconds_for(0, 0)
    if backlog_seconds > window_seconds:
        raise QueueFull(
            f"What waits already for the model {model!r} takes longer than the batch's completion window. "
            "Try again later, or with a longer window.",
            clamped(backlog_seconds - window_seconds),
        )


def forget() -> None:
    """As if nothing had been measured yet."""
    _measured.clear()


def _throughput(model: str) -> Throughput | None:
    """As measured lately: counting all that waits takes too long for every request."""
    until, measured = _measured.get(model, (0.0, None))
    if until > monotonic() or not _measuring.acquire(blocking=False):
        return measured
    try:
        measured = throughput.measure(model)
        _measured[model] = (monotonic() + _MEASURED_SECONDS, measured)
        return measured
    finally:
        _measuring.release()


def _model_of(file: FileRecord) -> str | None:
    """The model that the first line names; None where that can't be told, which validation will."""
    if file.storage_key is None:
        return None
    with suppress(ObjectMissing, StorageUnavailable, ValueError, TypeError, KeyError, UnknownModel):
        pieces = storage().read(file.storage_key, 0, min(file.bytes, _FIRST_LINE_BYTES))
        first_line = b"".join(pieces).partition(b"\n")[0]
        return settings().model_catalog().get(json.loads(first_line)["body"]["model"]).name
    return None

"""Batches that have not ended."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

_MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatusLine:
    """``seconds_left`` is None where no line ended lately; ``window_seconds`` is until the batch expires."""

    id: str
    status: str
    model: str | None
    total: int
    done: int
    failed: int
    lines_per_minute: float
    seconds_left: float | None
    window_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesStatus:
    """Those that expire first; ``open`` counts all."""

    open: int
    first: list[BatchStatusLine]


def read_batches(connection: Connection, ended_in_a_minute: dict[str, int]) -> BatchesStatus:
    """With the pace of their lines over the last minute."""
    rows = connection.execute(_OPEN, {"most": _MOST}).all()
    return BatchesStatus(
        open=rows[0].open if rows else 0,
        first=[_line(row, ended_in_a_minute.get(row.id, 0)) for row in rows],
    )


def _line(row: Any, ended: int) -> BatchStatusLine:
    # One that began half a minute ago has had half a minute.
    minutes = min(1.0, max(row.running_seconds or 60.0, 1.0) / 60)
    pace = ended / minutes
    return BatchStatusLine(
        id=row.id,
        status=row.status,
        model=row.model,
        total=row.total,
        done=row.last_position,
        failed=row.failed,
        lines_per_minute=pace,
        seconds_left=row.unfinished * 60 / pace if pace else None,
        window_seconds=row.window_seconds,
    )


_OPEN = text("""
    SELECT id, status, model, total, last_position, failed, unfinished,
        extract(epoch FROM now() - in_progress_at)::float AS running_seconds,
        extract(epoch FROM expires_at - now())::float AS window_seconds,
        count(*) OVER () AS open
    FROM batches
    WHERE status IN ('validating', 'in_progress', 'cancelling')
    ORDER BY expires_at, id
    LIMIT :most
""")

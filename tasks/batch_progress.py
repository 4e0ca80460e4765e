"""What the end of its lines means for a batch: counts, usage, places in its files, and its own end.

Inside the transaction that ends the lines, so that a batch always agrees with its jobs and its bill.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Connection, bindparam, case, func, literal, or_, update
from sqlalchemy.dialects.postgresql import JSONB

from tasks import webhook_events
from tasks.batch import BatchStatus
from tasks.models import Batch, JobStatus

STILL_OPEN = (BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLine:
    """A line that ends now, and what it is billed."""

    job_id: str
    batch_id: str
    line_number: int
    status: JobStatus
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal


def note_ended(connection: Connection, lines: Sequence[EndedLine]) -> dict[str, int]:
    """Count lines in, and end batches that have no other. Returns each line's place among the ended ones.

    Called with the rows of the jobs locked; batches are locked in id order everywhere.
    """
    by_batch: defaultdict[str, list[EndedLine]] = defaultdict(list)
    for line in lines:
        by_batch[line.batch_id].append(line)
    positions: dict[str, int] = {}
    for batch_id in sorted(by_batch):
        ended = by_batch[batch_id]
        row = connection.execute(_COUNT_IN, _sums(batch_id, ended)).one()
        first = row.last_position - len(ended) + 1
        positions |= {line.job_id: first + place for place, line in enumerate(ended)}
        if row.unfinished == 0:
            close(connection, batch_id)
    return positions


def close(connection: Connection, batch_id: str) -> bool:
    """End a batch of which nothing is unfinished; whether it did. A second time changes nothing."""
    closed = connection.execute(_CLOSE, {"closed_id": batch_id}).all()
    webhook_events.batches_ended(connection, closed)
    return len(closed) > 0


def _sums(batch_id: str, lines: Sequence[EndedLine]) -> dict[str, Any]:
    failed = [line.line_number for line in lines if line.status is JobStatus.FAILED]
    return {
        "of_batch": batch_id,
        "ended": len(lines),
        "more_completed": sum(line.status is JobStatus.COMPLETED for line in lines),
        "more_failed": len(failed),
        "any_expired": any(line.status is JobStatus.EXPIRED for line in lines),
        "more_input": sum(line.prompt_tokens for line in lines),
        "more_cached": sum(line.cached_tokens for line in lines),
        "more_output": sum(line.completion_tokens for line in lines),
        "more_cost": sum((line.cost_usd for line in lines), Decimal(0)),
        "failure": [_line_failed(min(failed))] if failed else None,
    }


def _line_failed(line_number: int) -> dict[str, Any]:
    return {
        "code": "line_failed",
        "message": f"Line {line_number} failed, and the batch was to stop at the first failure.",
        "param": None,
        "line": line_number,
    }


_stops = (
    (Batch.on_error == "stop")
    & (bindparam("more_failed") > 0)
    & (Batch.status == BatchStatus.IN_PROGRESS)
    & Batch.ends_as.is_(None)
)
_COUNT_IN = (
    update(Batch)
    .where(Batch.id == bindparam("of_batch"))
    .values(
        completed=Batch.completed + bindparam("more_completed"),
        failed=Batch.failed + bindparam("more_failed"),
        unfinished=Batch.unfinished - bindparam("ended"),
        last_position=Batch.last_position + bindparam("ended"),
        input_tokens=Batch.input_tokens + bindparam("more_input"),
        cached_tokens=Batch.cached_tokens + bindparam("more_cached"),
        output_tokens=Batch.output_tokens + bindparam("more_output"),
        cost_usd=Batch.cost_usd + bindparam("more_cost"),
        ends_as=case(
            (_stops, BatchStatus.FAILED.value),
            (or_(Batch.ends_as.is_not(None), ~bindparam("any_expired", type_=Boolean)), Batch.ends_as),
            else_=BatchStatus.EXPIRED.value,
        ),
        errors=case((_stops, bindparam("failure", type_=JSONB(none_as_null=True))), else_=Batch.errors),
    )
    .returning(Batch.last_position, Batch.unfinished)
)


def _moment(status: BatchStatus, column: Any) -> Any:
    return case(
        (func.coalesce(Batch.ends_as, literal("completed")) == status.value, func.now()), else_=column
    )


_CLOSE = (
    update(Batch)
    .where(Batch.id == bindparam("closed_id"), Batch.status.in_(STILL_OPEN), Batch.unfinished == 0)
    .values(
        status=func.coalesce(Batch.ends_as, literal("completed")),
        finalizing_at=_moment(BatchStatus.COMPLETED, Batch.finalizing_at),
        completed_at=_moment(BatchStatus.COMPLETED, Batch.completed_at),
        failed_at=_moment(BatchStatus.FAILED, Batch.failed_at),
        expired_at=_moment(BatchStatus.EXPIRED, Batch.expired_at),
        cancelled_at=_moment(BatchStatus.CANCELLED, Batch.cancelled_at),
    )
    .returning(Batch.id, Batch.project_id, Batch.status)
)

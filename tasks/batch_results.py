"""What has come of a batch's lines, in the order in which they ended, however many there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, select

from tasks import job_results
from tasks.batch import BatchRecord
from tasks.db import transaction
from tasks.models import BatchInvalidLine, Job, JobStatus
from tasks.result import JobResult

_PAGE = 200
_CUT_SHORT = {
    JobStatus.EXPIRED: ("batch_expired", "The batch expired before this request was done."),
    JobStatus.CANCELLED: ("batch_cancelled", "The batch ended before this request was done."),
}

View = Literal["output", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedLine:
    """A line that has ended.

    ``position`` counts the batch's ended lines from 1; it never changes, and later ones are greater.
    ``result`` is there where a job has completed or failed; ``error`` where there is nothing else to
    tell: ``{code, message}``, and for a line that was not valid ``param`` and ``line`` too. ``code``
    says why it is in the error file: None for one that completed.
    """

    position: int
    line_number: int
    custom_id: str | None
    result: JobResult | None = None
    error: dict[str, Any] | None = None
    code: str | None = None


def finished_lines(batch: BatchRecord, view: View, after_position: int = 0) -> Iterator[FinishedLine]:
    """The lines of a view that have ended by now, beyond a position. Nothing comes between two of them later.

    Each page is a transaction of its own, so that reading slowly holds nothing up.
    """
    while True:
        with transaction() as connection:
            page = _page(connection, batch, view, after_position)
        yield from page
        if not page:
            return
        after_position = page[-1].position


def _page(connection: Connection, batch: BatchRecord, view: View, after: int) -> list[FinishedLine]:
    if view == "error":
        # Their places come before those of all jobs.
        invalid = _invalid_lines(connection, batch, after)
        if invalid:
            return invalid
    completed = Job.status == JobStatus.COMPLETED
    query = (
        select(Job.id, Job.output_position, Job.line_number, Job.custom_id)
        .where(
            Job.batch_id == batch.id,
            Job.output_position > after,
            completed if view == "output" else ~completed,
        )
        .order_by(Job.output_position)
        .limit(_PAGE)
    )
    rows = connection.execute(query).all()
    results = job_results.results_of_lines(connection, [row.id for row in rows])
    return [_line(row, results[row.id]) for row in rows]


def _invalid_lines(connection: Connection, batch: BatchRecord, after: int) -> list[FinishedLine]:
    query = (
        select(BatchInvalidLine)
        .where(BatchInvalidLine.batch_id == batch.id, BatchInvalidLine.output_position > after)
        .order_by(BatchInvalidLine.output_position)
        .limit(_PAGE)
    )
    return [
        FinishedLine(
            position=row.output_position,
            line_number=row.line_number,
            custom_id=row.custom_id,
            error=row.error,
            code=row.error["code"],
        )
        for row in connection.execute(query)
    ]


def _line(row: Any, result: JobResult) -> FinishedLine:
    place = {
        "position": row.output_position,
        "line_number": row.line_number,
        "custom_id": row.custom_id,
    }
    cut_short = _CUT_SHORT.get(result.job.status)
    if cut_short is None:
        return FinishedLine(**place, result=result, code=result.job.error_code)
    code, message = cut_short
    return FinishedLine(**place, error={"code": code, "message": message}, code=code)

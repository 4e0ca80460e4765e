"""Batches: created, read, listed, cancelled and run again by their project (I6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from tasks import batch_backlog
from tasks.batch import BatchRecord, BatchStatus
from tasks.batch_plan import BatchPlan
from tasks.db import transaction
from tasks.errors import (
    BatchAlreadyEnded,
    BatchNotFound,
    BatchStillRunning,
    FileNotFound,
    InvalidRequest,
)
from tasks.files import FileRecord, get_file
from tasks.ids import new_id
from tasks.keys import Principal
from tasks.models import Batch
from tasks.tracing import context

_INPUT_PURPOSE = "batch"
_COLUMNS = tuple(
    Batch.metadata_.label("metadata") if name == "metadata" else getattr(Batch, name)
    for name in BatchRecord.__slots__
)


@dataclass(frozen=True, slots=True)
class BatchPage:
    items: list[BatchRecord]
    has_more: bool


def create_batch(principal: Principal, wanted: BatchPlan) -> BatchRecord:
    """A batch to be validated soon: once this returns, it reaches a terminal state whatever dies (I1).

    Raises:
        FileNotFound: also for another project's file.
        InvalidRequest: the file is not for batches.
        QueueFull: what waits already takes longer than its window.
    """
    file = input_file(principal.project_id, wanted.input_file_id)
    batch_backlog.check(file, wanted.completion_window_seconds)
    values = {
        "endpoint": wanted.endpoint,
        "input_file_id": wanted.input_file_id,
        "completion_window": wanted.completion_window,
        "expires_at": func.now() + timedelta(seconds=wanted.completion_window_seconds),
        "metadata_": wanted.metadata,
        "on_invalid_line": wanted.on_invalid_line,
        "on_error": wanted.on_error,
        "max_cost_usd": wanted.max_cost_usd,
        "output_expires_after_seconds": wanted.output_expires_after_seconds,
    }
    with transaction() as connection:
        return _insert(connection, principal, values)


def input_file(project_id: str, file_id: str) -> FileRecord:
    """A file that batches can be made of.

    Raises:
        FileNotFound: also for another project's file.
        InvalidRequest: the file is not for batches.
    """
    try:
        file = get_file(project_id, file_id)
    except FileNotFound as error:
        raise FileNotFound(error.message, param="input_file_id") from None
    if file.purpose != _INPUT_PURPOSE:
        raise InvalidRequest(
            f"The file {file.id!r} has the purpose {file.purpose!r}; a batch needs {_INPUT_PURPOSE!r}.",
            param="input_file_id",
        )
    return file


def retry_batch(principal: Principal, batch_id: str) -> BatchRecord:
    """The lines of an ended batch that have no answer, as a new batch. What was not valid stays out.

    Raises BatchNotFound, BatchStillRunning.
    """
    with transaction() as connection:
        batch = _read(connection, principal.project_id, batch_id)
        if not batch.status.ended:
            raise BatchStillRunning(f"The batch is still {batch.status.value}.")
        values = {
            "retry_of": batch.id,
            "endpoint": batch.endpoint,
            "input_file_id": batch.input_file_id,
            "completion_window": batch.completion_window,
            "expires_at": func.now() + (batch.expires_at - batch.created_at),
            "metadata_": batch.metadata,
            "on_invalid_line": batch.on_invalid_line,
            "on_error": batch.on_error,
            "max_cost_usd": batch.max_cost_usd,
            "output_expires_after_seconds": batch.output_expires_after_seconds,
        }
        return _insert(connection, principal, values)


def get_batch(project_id: str, batch_id: str) -> BatchRecord:
    """Raises BatchNotFound, also for another project's batch."""
    with transaction() as connection:
        return _read(connection, project_id, batch_id)


def list_batches(project_id: str, after: str | None = None, limit: int = 20) -> BatchPage:
    """A page of a project's batches, newest first. Raises InvalidRequest for an unknown ``after``."""
    query = select(*_COLUMNS).where(Batch.project_id == project_id)
    with transaction() as connection:
        if after is not None:
            _check_cursor(connection, project_id, after)
            query = query.where(Batch.id < after)
        rows = connection.execute(query.order_by(Batch.id.desc()).limit(limit + 1)).mappings().all()
    return BatchPage(_records(rows[:limit]), has_more=len(rows) > limit)


def cancel_batch(project_id: str, batch_id: str) -> BatchRecord:
    """Let a batch end soon, with the lines that have ended by then; asking again changes nothing.

    Raises:
        BatchNotFound: also for another project's batch.
        BatchAlreadyEnded: it has completed, failed or expired.
    """
    statement = (
        update(Batch)
        .where(
            Batch.project_id == project_id,
            Batch.id == batch_id,
            Batch.status.in_((BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)),
        )
        .values(
            status=BatchStatus.CANCELLING,
            cancelling_at=func.now(),
            ends_as=func.coalesce(Batch.ends_as, BatchStatus.CANCELLED.value),
        )
    )
    with transaction() as connection:
        changed = connection.execute(statement).rowcount
        batch = _read(connection, project_id, batch_id)
    if not changed and batch.status not in (BatchStatus.CANCELLING, BatchStatus.CANCELLED):
        raise BatchAlreadyEnded(f"The batch has already ended: it is {batch.status.value}.")
    return batch


def _insert(connection: Connection, principal: Principal, values: dict[str, Any]) -> BatchRecord:
    statement = insert(Batch).values(
        id=new_id("batch"),
        project_id=principal.project_id,
        api_key_id=principal.api_key_id,
        **context.columns(context.current()),
        **values,
    )
    return _records([connection.execute(statement.returning(*_COLUMNS)).mappings().one()])[0]


def _read(connection: Connection, project_id: str, batch_id: str) -> BatchRecord:
    query = select(*_COLUMNS).where(Batch.project_id == project_id, Batch.id == batch_id)
    rows = connection.execute(query).mappings().all()
    if not rows:
        raise BatchNotFound(f"There is no batch {batch_id!r}.", param="batch_id")
    return _records(rows)[0]


def _check_cursor(connection: Connection, project_id: str, batch_id: str) -> None:
    query = select(Batch.id).where(Batch.project_id == project_id, Batch.id == batch_id)
    if connection.execute(query).first() is None:
        raise InvalidRequest(f"after names no batch: {batch_id!r}.", param="after")


def _records(rows: Sequence[RowMapping]) -> list[BatchRecord]:
    return [BatchRecord(**{**row, "status": BatchStatus(row["status"])}) for row in rows]

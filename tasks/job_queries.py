"""Reading jobs, always within one project, so that another's job is simply not there (I6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Text,
    any_,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from tasks.db import transaction
from tasks.errors import InvalidRequest, JobNotFound
from tasks.job import JobRecord
from tasks.models import Checkpoint, Job, JobStatus
from tasks.plan import Endpoint

# Counting further would cost more than the answer is worth to anyone so far back.
_POSITION_LIMIT = 10_000

_COLUMNS = (
    Job.id,
    Job.project_id,
    Job.endpoint,
    Job.type,
    Job.model,
    Job.service_tier,
    Job.status,
    Job.stored,
    Job.conversation_id,
    Job.system_fingerprint,
    Job.metadata_.label("metadata"),
    Job.prompt_tokens,
    Job.max_tokens,
    Job.created_at,
    Job.expires_at,
    Job.started_at,
    Job.cancel_requested_at,
    Job.ended_at,
    Job.attempt,
    Job.output_text,
    Job.finish_reason,
    Job.billed_prompt_tokens,
    Job.cached_tokens,
    Job.completion_tokens,
    Job.cost_usd,
    Job.error_code,
    Job.error_message,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs, and which page of them. ``after`` and ``before`` are job ids, exclusive."""

    limit: int = 20
    after: str | None = None
    before: str | None = None
    order: Literal["asc", "desc"] = "desc"
    status: JobStatus | None = None
    model: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    stored: bool | None = None
    api_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    items: list[JobRecord]
    has_more: bool


def get_job(project_id: str, job_id: str) -> JobRecord:
    """Raises JobNotFound, also for another project's job."""
    with transaction() as connection:
        return read_job(connection, project_id, job_id)


def read_job(connection: Connection, project_id: str, job_id: str) -> JobRecord:
    """As ``get_job``, inside the caller's transaction."""
    query = select(*_COLUMNS).where(*_visible(project_id), Job.id == job_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise JobNotFound(f"There is no job {job_id!r}.", param="job_id")
    return _with_present(connection, [_record(row)])[0]


def check_sender(project_id: str, job_id: str, api_key_id: str) -> None:
    """Raises JobNotFound where a job is not there, or another key of the project sent it."""
    query = select(Job.api_key_id).where(*_visible(project_id), Job.id == job_id)
    with transaction() as connection:
        if connection.execute(query).scalar() != api_key_id:
            raise JobNotFound(f"There is no job {job_id!r}.", param="job_id")


def list_jobs(project_id: str, wanted: JobFilter) -> JobPage:
    """A page of a project's jobs in the order of their creation.

    Raises:
        InvalidRequest: a cursor names no job of this project.
    """
    newest_first = wanted.order == "desc"
    with transaction() as connection:
        conditions = [*_visible(project_id), *_conditions(wanted)]
        if wanted.after is not None:
            _check_cursor(connection, project_id, "after", wanted.after)
            conditions.append(Job.id < wanted.after if newest_first else Job.id > wanted.after)
        if wanted.before is not None:
            _check_cursor(connection, project_id, "before", wanted.before)
            conditions.append(Job.id > wanted.before if newest_first else Job.id < wanted.before)
        # With only `before`, the page wanted is the one that ends just ahead of it.
        backwards = wanted.before is not None and wanted.after is None
        order = Job.id.desc() if newest_first != backwards else Job.id.asc()
        query = select(*_COLUMNS).where(*conditions).order_by(order).limit(wanted.limit + 1)
        rows = connection.execute(query).mappings().all()
        page = [_record(row) for row in rows[: wanted.limit]]
        if backwards:
            page.reverse()
        items = _with_present(connection, page)
    return JobPage(items, has_more=len(rows) > wanted.limit)


def lines(connection: Connection, job_ids: Sequence[str]) -> list[JobRecord]:
    """Ended lines of batches by their ids, in no order."""
    query = select(*_COLUMNS).where(Job.id == any_(literal(list(job_ids), ARRAY(Text))))
    return [_record(row) for row in connection.execute(query).mappings()]


def statuses(job_ids: Sequence[str]) -> dict[str, JobStatus]:
    """How jobs of whatever project stand, for those who already know that they may know."""
    if not job_ids:
        return {}
    query = select(Job.id, Job.status).where(Job.id == any_(literal(list(job_ids), ARRAY(Text))))
    with transaction() as connection:
        return {row.id: JobStatus(row.status) for row in connection.execute(query)}


def admitted(values: Mapping[str, Any]) -> JobRecord:
    """The record of a job just inserted, without asking the database again."""
    never: dict[str, Any] = dict.fromkeys(column.key for column in _COLUMNS)
    known = {key: values[key] for key in never if key in values}
    return JobRecord(**{**never, **known, "status": JobStatus.QUEUED, "attempt": 0})


def _visible(project_id: str) -> tuple[ColumnElement[bool], ...]:
    # A batch's lines are read with their batch.
    return Job.project_id == project_id, Job.deleted_at.is_(None), Job.batch_id.is_(None)


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        conditions.append(Job.status == wanted.status)
    if wanted.model is not None:
        conditions.append(Job.model == wanted.model)
    if wanted.created_after is not None:
        conditions.append(Job.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(Job.created_at <= wanted.created_before)
    if wanted.endpoint is not None:
        conditions.append(Job.endpoint == wanted.endpoint)
    if wanted.stored is not None:
        conditions.append(Job.stored == wanted.stored)
    if wanted.api_key_id is not None:
        conditions.append(Job.api_key_id == wanted.api_key_id)
    if wanted.metadata:
        # The second condition is what the partial index knows its rows by.
        conditions += [Job.metadata_.contains(dict(wanted.metadata)), Job.metadata_ != text("'{}'")]
    return conditions


def _check_cursor(connection: Connection, project_id: str, param: str, job_id: str) -> None:
    query = select(Job.id).where(*_visible(project_id), Job.id == job_id)
    if connection.execute(query).first() is None:
        raise InvalidRequest(f"{param} names no job: {job_id!r}.", param=param)


def _record(row: RowMapping) -> JobRecord:
    return JobRecord(**{**row, "status": JobStatus(row["status"])})


def _with_present(connection: Connection, records: Sequence[JobRecord]) -> list[JobRecord]:
    """What is not in a job's row: the text so far of those that run, the place of those that wait."""
    running = [record.id for record in records if record.status is JobStatus.IN_PROGRESS]
    waiting = [record.id for record in records if record.status is JobStatus.QUEUED]
    texts = _partial_texts(connection, running) if running else {}
    positions = _positions(connection, waiting) if waiting else {}
    return [
        replace(
            record,
            output_text=texts.get(record.id, record.output_text),
            queue_position=positions.get(record.id),
        )
        for record in records
    ]


def _partial_texts(connection: Connection, job_ids: Sequence[str]) -> dict[str, str]:
    query = select(Checkpoint.job_id, Checkpoint.text).where(Checkpoint.job_id.in_(job_ids))
    return {row.job_id: row.text for row in connection.execute(query)}


def _positions(connection: Connection, job_ids: Sequence[str]) -> dict[str, int]:
    other = aliased(Job)
    ahead = (
        select(literal(1))
        .where(
            other.model == Job.model,
            other.status == JobStatus.QUEUED,
            other.batch_id.is_(None),
            tuple_(other.rank, other.id) < tuple_(Job.rank, Job.id),
        )
        .limit(_POSITION_LIMIT)
        .correlate(Job)
        .subquery()
    )
    count = select(func.count()).select_from(ahead).correlate(Job).scalar_subquery()
    query = select(Job.id, (count + 1).label("position")).where(Job.id.in_(job_ids))
    return {row.id: row.position for row in connection.execute(query)}

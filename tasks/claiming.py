"""Claiming: a queued job becomes a worker's own, by one conditional update."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update
from sqlalchemy.orm import aliased

from tasks import stored_choices
from tasks.db import after_commit
from tasks.job_results import prompts_of
from tasks.jobs import ClaimedJob
from tasks.metrics import jobs as job_metrics
from tasks.models import Checkpoint, Job, JobStatus
from tasks.result import Choice
from tasks.sampling import read_sampling
from tasks.settings import settings
from tasks.tracing import context


def claim(
    connection: Connection, job_id: str, worker_id: str, system_fingerprint: str | None = None
) -> ClaimedJob | None:
    """Make a queued job this worker's. None when none is there to be had: somebody else has it.

    A message is leave to run one job of its model, and mostly its own. Where a job of a better tier
    waits, that one goes first, and the message of that one will find the other. (RabbitMQ's quorum
    queues of before 4.0 know no priorities.)
    """
    row = connection.execute(
        _CLAIM, {"asked_id": job_id, "worker": worker_id, "fingerprint": system_fingerprint}
    ).first()
    if row is None:
        return None
    after_commit(connection, partial(job_metrics.count_claimed, [_counted(row)]))
    return _claimed(connection, row)


def claim_slice(
    connection: Connection, slice_id: str, worker_id: str, system_fingerprint: str | None = None
) -> list[ClaimedJob]:
    """Make the lines of a slice this worker's that nobody has run or taken back since, in line order."""
    rows = connection.execute(
        _CLAIM_SLICE, {"slice": slice_id, "worker": worker_id, "fingerprint": system_fingerprint}
    ).all()
    after_commit(connection, partial(job_metrics.count_claimed, [_counted(row) for row in rows]))
    return [_claimed(connection, row) for row in sorted(rows, key=lambda row: (row.prefix_line, row.id))]


def _claimed(connection: Connection, row: Any) -> ClaimedJob:
    sampling = read_sampling(row.sampling, row.request, max_tokens=row.max_tokens, seed=row.seed)
    return ClaimedJob(
        id=row.id,
        attempt=row.attempt,
        type=row.type,
        rank=row.rank,
        request=row.request,
        prompts=prompts_of(row.prompt_token_ids, row.prompt_lengths),
        sampling=sampling,
        deadline_in_seconds=float(row.deadline_in_seconds),
        saved=_saved(connection, row.id) if row.attempt > 1 else (),
        listeners=tuple(row.stream_to),
        batch_id=row.batch_id,
        # Lines of batches make way for others as often as those like, and that is not their fault.
        timeout_seconds=None if row.batch_id is not None else settings().generation_timeout_seconds or None,
        project_id=row.project_id,
        request_id=row.request_id,
        model=row.model,
        waited_seconds=float(row.waited_seconds),
        trace=context.parse(row.traceparent, row.tracestate),
    )


def _counted(row: Any) -> job_metrics.Claim:
    return job_metrics.Claim(row.model, row.service_tier, row.attempt, float(row.waited_seconds))


def _saved(connection: Connection, job_id: str) -> tuple[Choice, ...]:
    query = select(Checkpoint.token_ids, Checkpoint.text, Checkpoint.choices)
    row: Any = connection.execute(query.where(Checkpoint.job_id == job_id)).first()
    if row is None:
        return ()
    if row.choices is not None:
        return stored_choices.from_json(row.choices)
    return (Choice(text=row.text, token_ids=tuple(row.token_ids)),)


_own, _ahead = aliased(Job), aliased(Job)
_first_ahead = (
    select(_ahead.id)
    .join(_own, _own.id == bindparam("asked_id"))
    .where(
        _ahead.model == _own.model,
        _ahead.status == JobStatus.QUEUED,
        _ahead.batch_id.is_(None),
        _ahead.expires_at > func.now(),
        # A message whose job went ahead with another's message is leave for whichever is next.
        or_(_ahead.rank < _own.rank, _own.status != JobStatus.QUEUED),
    )
    .order_by(_ahead.rank, _ahead.id)
    .limit(1)
    .with_for_update(of=_ahead, skip_locked=True)
    .scalar_subquery()
)
_MINE: dict[str, Any] = {
    "status": JobStatus.IN_PROGRESS,
    "owner": bindparam("worker"),
    "attempt": Job.attempt + 1,
    "started_at": func.now(),
    "system_fingerprint": bindparam("fingerprint"),
}
_CLAIMED = (
    Job.id,
    Job.attempt,
    Job.type,
    Job.rank,
    Job.request,
    Job.sampling,
    Job.prompt_token_ids,
    Job.prompt_lengths,
    Job.max_tokens,
    Job.seed,
    Job.stream_to,
    Job.batch_id,
    Job.prefix_line,
    Job.project_id,
    Job.request_id,
    Job.model,
    Job.traceparent,
    Job.tracestate,
    func.extract("epoch", Job.expires_at - func.now()).label("deadline_in_seconds"),
    Job.service_tier,
    func.extract("epoch", func.now() - Job.created_at).label("waited_seconds"),
)
_CLAIM = (
    update(Job)
    .where(
        Job.id == func.coalesce(_first_ahead, bindparam("asked_id")),
        Job.status == JobStatus.QUEUED,
        Job.expires_at > func.now(),
    )
    .values(**_MINE)
    .returning(*_CLAIMED)
)
_line = aliased(Job)
_CLAIM_SLICE = (
    update(Job)
    .where(
        Job.id.in_(
            select(_line.id)
            .where(
                _line.slice_id == bindparam("slice"),
                _line.status == JobStatus.QUEUED,
                _line.expires_at > func.now(),
            )
            .order_by(_line.id)
            .with_for_update(skip_locked=True)
        )
    )
    .values(**_MINE)
    .returning(*_CLAIMED)
)

"""Every change of a job's status, as a conditional update: doing one twice, or at once, changes nothing.

Each function works inside the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import Connection, Interval, bindparam, delete, func, insert, select, update

from inference.request import Timing
from tasks import ledger, webhook_events
from tasks.batch_progress import EndedLine, note_ended
from tasks.db import after_commit
from tasks.metrics import jobs as job_metrics
from tasks.models import Checkpoint, Job, JobStatus
from tasks.months import month_of
from tasks.pricing import TokenPrices, price
from tasks.result import Choice
from tasks.sampling import Sampling
from tasks.tracing.context import TraceContext, trace_fields

_WITHOUT_OUTPUT = (JobStatus.CANCELLED, JobStatus.EXPIRED)
_TERMINAL_COLUMNS = (
    "status",
    "output_text",
    "output_token_ids",
    "finish_reason",
    "choices",
    "vectors",
    "billed_prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost_usd",
    "error_code",
    "error_message",
    "output_position",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJob:
    """What a worker needs to run a job; ``attempt`` fences everything it writes afterwards.

    ``deadline_in_seconds`` is the time left until the job expires, by the database's clock, and
    ``timeout_seconds`` how long it may run, where that is limited. ``saved``
    are the outputs that earlier attempts left, in the order of the outputs to be, or none.
    ``listeners`` are the queues of processes that want the tokens as they come. ``waited_seconds``
    have passed since it was admitted; ``trace`` is what its request, or its batch, belongs to.
    """

    id: str
    attempt: int
    type: str
    rank: int
    request: dict[str, Any]
    prompts: tuple[tuple[int, ...], ...]
    sampling: Sampling
    deadline_in_seconds: float
    saved: tuple[Choice, ...] = ()
    listeners: tuple[str, ...] = ()
    batch_id: str | None = None
    timeout_seconds: float | None = None
    project_id: str = ""
    request_id: str | None = None
    model: str = ""
    waited_seconds: float = 0.0
    trace: TraceContext | None = None

    @property
    def time_left_seconds(self) -> float:
        """Until it is cut off."""
        limit = self.timeout_seconds
        return self.deadline_in_seconds if limit is None else min(limit, self.deadline_in_seconds)

    @property
    def times_out(self) -> bool:
        """Whether it is cut off for running too long, rather than because it expires."""
        return self.timeout_seconds is not None and self.timeout_seconds < self.deadline_in_seconds

    @property
    def log_fields(self) -> dict[str, str]:
        """What every log line about it says."""
        known = {"job_id": self.id, "project_id": self.project_id, **trace_fields(self.trace)}
        optional = {"request_id": self.request_id, "batch_id": self.batch_id}
        return known | {name: value for name, value in optional.items() if value is not None}

    @property
    def plain(self) -> bool:
        """Whether the outcome is one text without log-probabilities, which is kept in columns."""
        params = self.sampling.params
        alone = len(self.prompts) == self.sampling.n == 1
        return alone and params.logprobs is None and params.prompt_logprobs is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ends. ``attempt`` must be the job's present one, or nothing happens.

    ``timing`` is for traces and is not kept.
    """

    job_id: str
    attempt: int
    status: JobStatus
    output_text: str | None = None
    output_token_ids: Sequence[int] | None = None
    finish_reason: str | None = None
    choices: list[dict[str, Any]] | None = None
    vectors: bytes | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    error_code: str | None = None
    error_message: str | None = None
    timing: Timing | None = field(default=None, compare=False)


def create(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, datetime]]:
    """Insert queued jobs that expire ``expires_in`` from now, by the database's clock.

    Returns each one's ``created_at`` and ``expires_at``.
    """
    if not rows:
        return {}
    moments = connection.execute(_CREATE, rows)
    return {row.id: {"created_at": row.created_at, "expires_at": row.expires_at} for row in moments}


def end(connection: Connection, endings: Iterable[Ending]) -> list[str]:
    """Write results, usage, charges and releases of jobs that end together; returns the ids that did.

    An ending is dropped where its job has ended before or was taken over since (``attempt``).
    """
    by_id = {ending.job_id: ending for ending in endings}
    settlements, updates, lines, news, ends = [], [], [], [], []
    for row in _lock(connection, sorted(by_id)):
        ending = by_id[row.id]
        if ending.attempt != row.attempt:
            continue
        if row.batch_id is not None and ending.status in _WITHOUT_OUTPUT:
            ending = _bare(ending)
        cost_usd = _cost(ending, row)
        settlements.append(
            ledger.Settlement(
                row.id,
                ledger.Payer(row.project_id, row.api_key_id),
                month_of(row.created_at),
                ending.prompt_tokens,
                ending.cached_tokens,
                ending.completion_tokens,
                cost_usd,
            )
        )
        if row.batch_id is not None:
            lines.append(_line(ending, row, cost_usd))
        if row.announced_as is not None:
            news.append(_news(ending, row))
        updates.append(_terminal_values(ending, cost_usd))
        ends.append(_counted(ending, row, cost_usd))
    if updates:
        ended = [settlement.job_id for settlement in settlements]
        positions = note_ended(connection, lines)
        for values in updates:
            values["new_output_position"] = positions.get(values["ended_id"])
        connection.execute(_END, updates)
        connection.execute(delete(Checkpoint).where(Checkpoint.job_id.in_(ended)))
        ledger.settle(connection, settlements)
        webhook_events.enqueue(connection, news)
        after_commit(connection, partial(job_metrics.count_ended, ends))
    return [settlement.job_id for settlement in settlements]


def request_cancel(connection: Connection, job_id: str) -> None:
    """Ask the worker that runs the job to stop at its next step; asking again changes nothing."""
    connection.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.IN_PROGRESS, Job.cancel_requested_at.is_(None))
        .values(cancel_requested_at=func.now())
    )


def hand_back(connection: Connection, fences: Iterable[tuple[str, int]]) -> None:
    """Queue running jobs again because their worker leaves in good order; this is not held against them."""
    _requeue(connection, fences, losses=0)


def take_from_dead(connection: Connection, fences: Iterable[tuple[str, int]]) -> None:
    """Queue running jobs again because their worker is dead."""
    _requeue(connection, fences, losses=1)


def mark_published(connection: Connection, job_ids: Sequence[str]) -> None:
    """The broker has confirmed these."""
    connection.execute(
        update(Job).where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED).values(published_at=func.now())
    )


def _requeue(connection: Connection, fences: Iterable[tuple[str, int]], *, losses: int) -> None:
    rows = [{"fenced_id": job_id, "fence": attempt, "losses": losses} for job_id, attempt in sorted(fences)]
    if rows:
        connection.execute(_REQUEUE, rows)


def _lock(connection: Connection, job_ids: Sequence[str]) -> Sequence[Any]:
    """Lock jobs that have not ended, in id order everywhere so that two transactions can't deadlock."""
    return connection.execute(_LOCK, {"locked_ids": job_ids}).all()


def _cost(ending: Ending, row: Any) -> Decimal:
    prices = TokenPrices(row.price_input_usd, row.price_cached_input_usd, row.price_output_usd)
    return price(
        prices,
        prompt_tokens=ending.prompt_tokens,
        cached_tokens=ending.cached_tokens,
        completion_tokens=ending.completion_tokens,
    )


def _bare(ending: Ending) -> Ending:
    """A line cut short with its batch has no line in the output, so it has no bill either (I4)."""
    return Ending(
        job_id=ending.job_id,
        attempt=ending.attempt,
        status=ending.status,
        error_code=ending.error_code,
        error_message=ending.error_message,
    )


def _line(ending: Ending, row: Any, cost_usd: Decimal) -> EndedLine:
    return EndedLine(
        job_id=row.id,
        batch_id=row.batch_id,
        line_number=row.line_number,
        status=ending.status,
        prompt_tokens=ending.prompt_tokens,
        cached_tokens=ending.cached_tokens,
        completion_tokens=ending.completion_tokens,
        cost_usd=cost_usd,
    )


def _news(ending: Ending, row: Any) -> webhook_events.Event:
    reason = ending.choices[0].get("finish_reason") if ending.choices else ending.finish_reason
    cut_short = ending.status is JobStatus.COMPLETED and reason == "length"
    return webhook_events.job_ended(
        row.project_id, row.id, row.announced_as, ending.status, cut_short=cut_short
    )


def _counted(ending: Ending, row: Any, cost_usd: Decimal) -> job_metrics.End:
    return job_metrics.End(
        model=row.model,
        tier=row.service_tier,
        outcome=ending.status,
        seconds=float(row.age_seconds),
        prompt_tokens=ending.prompt_tokens,
        cached_tokens=ending.cached_tokens,
        completion_tokens=ending.completion_tokens,
        cost_usd=cost_usd,
    )


def _terminal_values(ending: Ending, cost_usd: Decimal) -> dict[str, Any]:
    return {
        "ended_id": ending.job_id,
        "new_status": ending.status,
        "new_output_text": ending.output_text,
        "new_output_token_ids": None if ending.output_token_ids is None else list(ending.output_token_ids),
        "new_finish_reason": ending.finish_reason,
        "new_choices": ending.choices,
        "new_vectors": ending.vectors,
        "new_billed_prompt_tokens": ending.prompt_tokens,
        "new_cached_tokens": ending.cached_tokens,
        "new_completion_tokens": ending.completion_tokens,
        "new_cost_usd": cost_usd,
        "new_error_code": ending.error_code,
        "new_error_message": ending.error_message,
    }


# Built once, as ``ledger._HOLD`` is: every end of a job runs it.
_LOCK = (
    select(
        Job.id,
        Job.project_id,
        Job.api_key_id,
        Job.model,
        Job.service_tier,
        Job.created_at,
        func.extract("epoch", func.now() - Job.created_at).label("age_seconds"),
        Job.attempt,
        Job.batch_id,
        Job.line_number,
        Job.price_input_usd,
        Job.price_cached_input_usd,
        Job.price_output_usd,
        webhook_events.announced_as(),
    )
    .where(
        Job.id.in_(bindparam("locked_ids", expanding=True)),
        Job.status.in_((JobStatus.QUEUED, JobStatus.IN_PROGRESS)),
    )
    .order_by(Job.id)
    .with_for_update(of=Job)
)

_CREATE = (
    insert(Job)
    .values(expires_at=func.now() + bindparam("expires_in", type_=Interval))
    .returning(Job.id, Job.created_at, Job.expires_at)
)

_END = (
    update(Job)
    .where(Job.id == bindparam("ended_id"))
    .values(owner=None, ended_at=func.now(), **{name: bindparam(f"new_{name}") for name in _TERMINAL_COLUMNS})
)

_REQUEUE = (
    update(Job)
    .where(
        Job.id == bindparam("fenced_id"),
        Job.attempt == bindparam("fence"),
        Job.status == JobStatus.IN_PROGRESS,
    )
    .values(
        status=JobStatus.QUEUED,
        owner=None,
        published_at=None,
        slice_id=None,
        worker_losses=Job.worker_losses + bindparam("losses"),
    )
)

"""The usage that clients read in bodies and in output lines, against what was charged for it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from tasks.billing.difference import Difference
from tasks.billing.period import Period
from tasks.endpoints import body_of
from tasks.job_results import results_of_lines
from tasks.models import Job, JobStatus, LedgerEntry
from tasks.result import JobResult

_PAGE = 200


def compare(connection: Connection, period: Period, project_id: str | None) -> tuple[int, Difference | None]:
    """How many bodies were read up to the first that differs, and that one.

    Of jobs that completed: nobody is given another's usage in its endpoint's body. What was deleted has none.
    """
    count, after = 0, 0
    while page := _page(connection, period, project_id, after):
        after = page[-1].id
        results = results_of_lines(connection, [row.job_id for row in page])
        for row in page:
            count += 1
            difference = _difference(row, results[row.job_id])
            if difference is not None:
                return count, difference
    return count, None


def _page(connection: Connection, period: Period, project_id: str | None, after: int) -> Sequence[Any]:
    query = (
        select(
            LedgerEntry.id,
            LedgerEntry.job_id,
            LedgerEntry.project_id,
            LedgerEntry.prompt_tokens,
            LedgerEntry.completion_tokens,
        )
        .join(Job, Job.id == LedgerEntry.job_id)
        .where(
            LedgerEntry.kind == "charge",
            LedgerEntry.id > after,
            LedgerEntry.created_at >= period.start,
            LedgerEntry.created_at < period.end,
            Job.status == JobStatus.COMPLETED,
            Job.deleted_at.is_(None),
        )
        .order_by(LedgerEntry.id)
        .limit(_PAGE)
    )
    if project_id is not None:
        query = query.where(LedgerEntry.project_id == project_id)
    return connection.execute(query).all()


def _difference(row: Any, result: JobResult) -> Difference | None:
    shown = _usage(result)
    charged = row.prompt_tokens, row.completion_tokens
    if shown != charged:
        message = f"the body tells of {shown} prompt and completion tokens, charged were {charged}"
        return Difference("wrong_body", row.project_id, row.job_id, message)
    tokens = sum(len(choice.token_ids) for choice in result.choices)
    # Of several candidates only the best are shown, and all are charged.
    most = result.best_of > result.n
    if result.job.type != "embedding" and (tokens > charged[1] if most else tokens != charged[1]):
        message = f"the body has {tokens} output tokens, charged were {charged[1]}"
        return Difference("wrong_body", row.project_id, row.job_id, message)
    return None


def _usage(result: JobResult) -> tuple[int, int]:
    """Responses and jobs call the same things by other names."""
    usage = body_of(result).model_dump(include={"usage"})["usage"] or {}
    prompt = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    return prompt, usage.get("completion_tokens", usage.get("output_tokens", 0))

"""Where a batch's lines come from: a file, or the lines of another batch that got no answer."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import RowMapping, select

from inference.catalog import Task
from tasks.db import transaction
from tasks.file_content import open_content
from tasks.files import get_file
from tasks.line_spool import COPIED
from tasks.models import Job, JobStatus
from tasks.plan import ServiceTier
from tasks.planning import find_model
from tasks.price_book import current_prices
from tasks.pricing import TokenPrices

_PAGE = 500
_UNANSWERED = (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED)


def open_input(project_id: str, file_id: str) -> Iterator[bytes]:
    """The bytes of a file, in pieces. Raises FileNotFound, StorageUnavailable."""
    return open_content(get_file(project_id, file_id))


def lines_again(batch_id: str) -> Iterator[tuple[dict[str, Any], int, TokenPrices]]:
    """The rows of lines without an answer, the tokens each may generate at most, and today's prices.

    Raises UnknownModelRequested where the catalogue has lost the model.
    """
    columns = [
        Job.metadata_.label("metadata") if name == "metadata" else getattr(Job, name) for name in COPIED
    ]
    query = select(*columns).where(Job.batch_id == batch_id, Job.status.in_(_UNANSWERED))
    prices: TokenPrices | None = None
    after = 0
    while True:
        page = query.where(Job.line_number > after).order_by(Job.line_number).limit(_PAGE)
        with transaction() as connection:
            rows = connection.execute(page).mappings().all()
        for row in rows:
            prices = prices or _prices_of(row)
            yield dict(row), _most_output_tokens(row), prices
        if len(rows) < _PAGE:
            return
        after = rows[-1]["line_number"]


def _prices_of(row: RowMapping) -> TokenPrices:
    task: Task = "embed" if row["type"] == "embedding" else "generate"
    return current_prices(find_model(row["model"], task=task), ServiceTier.BATCH)


def _most_output_tokens(row: RowMapping) -> int:
    prompts = 1 if row["prompt_lengths"] is None else len(row["prompt_lengths"])
    best_of: int = (row["sampling"] or {}).get("best_of", 1)
    return prompts * best_of * int(row["max_tokens"])

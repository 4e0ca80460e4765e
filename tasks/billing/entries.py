"""The ledger's entries with the jobs, keys and projects that they are about, however many there are.

A page is a transaction of its own: memory stays the same, and reading slowly holds nothing up. Entries are
never changed, so pages can't contradict each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select, tuple_

from tasks.billing.period import Period
from tasks.db import transaction
from tasks.errors import InvalidRequest
from tasks.models import ApiKey, Job, LedgerEntry, Project

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class BilledEntry:
    """A line of the ledger, and what it is for."""

    id: int
    created_at: datetime
    project_id: str
    project: str
    kind: str
    amount_usd: Decimal
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    reason: str | None
    business_key: str
    job_id: str | None
    batch_id: str | None
    api_key_id: str | None
    api_key: str | None
    model: str | None
    endpoint: str | None
    service_tier: str | None
    price_input_usd: Decimal | None
    price_cached_input_usd: Decimal | None
    price_output_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class EntryPage:
    items: list[BilledEntry]
    has_more: bool


def all_entries(period: Period, project_id: str | None = None) -> Iterator[BilledEntry]:
    """Those of a period, oldest first; of one project or of all."""
    after: tuple[datetime, int] | None = None
    while True:
        with transaction() as connection:
            page = _read(connection, _query(period, project_id, after).limit(_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].created_at, page[-1].id


def entry_page(project_id: str, period: Period, *, limit: int, after: int | None) -> EntryPage:
    """A page of a project's entries, oldest first; ``after`` is an entry's id, exclusive.

    Raises:
        InvalidRequest: ``after`` names no entry of this project.
    """
    with transaction() as connection:
        place = None if after is None else _place(connection, project_id, after)
        rows = _read(connection, _query(period, project_id, place).limit(limit + 1))
    return EntryPage(rows[:limit], has_more=len(rows) > limit)


def _place(connection: Connection, project_id: str, entry_id: int) -> tuple[datetime, int]:
    query = select(LedgerEntry.created_at).where(
        LedgerEntry.id == entry_id, LedgerEntry.project_id == project_id
    )
    created_at = connection.execute(query).scalar()
    if created_at is None:
        raise InvalidRequest(f"after names no entry: {entry_id}.", param="after")
    return created_at, entry_id


_PLACE = tuple_(LedgerEntry.created_at, LedgerEntry.id)


def _query(period: Period, project_id: str | None, after: tuple[datetime, int] | None) -> Any:
    query = (
        select(*_COLUMNS)
        .join(Project, Project.id == LedgerEntry.project_id)
        .outerjoin(Job, Job.id == LedgerEntry.job_id)
        .outerjoin(ApiKey, ApiKey.id == Job.api_key_id)
        .where(LedgerEntry.created_at >= period.start, LedgerEntry.created_at < period.end)
        .order_by(LedgerEntry.created_at, LedgerEntry.id)
    )
    if project_id is not None:
        query = query.where(LedgerEntry.project_id == project_id)
    return query if after is None else query.where(after < _PLACE)


def _read(connection: Connection, query: Any) -> list[BilledEntry]:
    return [BilledEntry(*row) for row in connection.execute(query)]


_COLUMNS = (
    LedgerEntry.id,
    LedgerEntry.created_at,
    LedgerEntry.project_id,
    Project.name,
    LedgerEntry.kind,
    LedgerEntry.amount_usd,
    LedgerEntry.prompt_tokens,
    LedgerEntry.cached_tokens,
    LedgerEntry.completion_tokens,
    LedgerEntry.reason,
    LedgerEntry.business_key,
    LedgerEntry.job_id,
    Job.batch_id,
    Job.api_key_id,
    ApiKey.name,
    Job.model,
    Job.endpoint,
    Job.service_tier,
    Job.price_input_usd,
    Job.price_cached_input_usd,
    Job.price_output_usd,
)

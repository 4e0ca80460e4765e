"""Where usage and costs are read from: the ledger added up by hour or day, or its entries for minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    func,
    literal,
    select,
)

from tasks.actor import Actor
from tasks.models import ApiKey, Job, LedgerEntry, Project, UsageDay, UsageHour
from tasks.usage_buckets import Stretch

# OpenAI's word for whatever its agents did not ask for.
_API_SOURCE = literal("unlabeled").label("api_source")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which entries. An empty list asks for nothing."""

    project_ids: Sequence[str] = ()
    api_key_ids: Sequence[str] = ()
    user_ids: Sequence[str] = ()
    models: Sequence[str] = ()
    batch: bool | None = None


def entries_of(
    actor: Actor, stretch: Stretch, wanted: UsageFilter
) -> tuple[Select[*tuple[Any, ...]], FromClause]:
    """A query of the organization's entries by the starts of their buckets, without sums; and their source.

    What has no key, model, type or tier has an empty one.
    """
    source = _by_minute(stretch) if stretch.width == "1m" else _sums(stretch)
    column = source.c
    bucket = func.date_bin(timedelta(seconds=stretch.seconds), column.moment, func.to_timestamp(0))
    query = (
        select(bucket.label("bucket"))
        .select_from(source)
        .join(Project, Project.id == column.project_id)
        .outerjoin(ApiKey, ApiKey.id == column.api_key_id)
        .where(Project.organization_id == actor.organization)
    )
    for name, values in (
        (column.project_id, wanted.project_ids),
        (column.api_key_id, wanted.api_key_ids),
        (ApiKey.user_id, wanted.user_ids),
        (column.model, wanted.models),
    ):
        if values:
            query = query.where(name.in_(values))
    return query if wanted.batch is None else query.where(column.batch == wanted.batch), source


def groups(source: FromClause, names: Sequence[str]) -> list[ColumnElement[Any]]:
    """The columns to group by, each under its name."""
    return [(ApiKey.user_id if name == "user_id" else source.c[name]).label(name) for name in names]


def _sums(stretch: Stretch) -> FromClause:
    table = UsageDay if stretch.width == "1d" else UsageHour
    columns = [column for column in table.__table__.columns if column.name != "start"]
    return (
        select(table.start.label("moment"), _API_SOURCE, *columns)
        .where(*_within(table.start, stretch))
        .subquery("entries")
    )


def _by_minute(stretch: Stretch) -> FromClause:
    """A day of minutes at most, so what is read stays little."""
    return (
        select(
            LedgerEntry.created_at.label("moment"),
            _API_SOURCE,
            LedgerEntry.project_id,
            func.coalesce(Job.api_key_id, "").label("api_key_id"),
            func.coalesce(Job.model, "").label("model"),
            func.coalesce(Job.type, "").label("type"),
            func.coalesce(Job.service_tier, "").label("service_tier"),
            Job.batch_id.is_not(None).label("batch"),
            LedgerEntry.kind,
            literal(1).label("entries"),
            LedgerEntry.prompt_tokens,
            LedgerEntry.cached_tokens,
            LedgerEntry.completion_tokens,
        )
        .outerjoin(Job, Job.id == LedgerEntry.job_id)
        .where(*_within(LedgerEntry.created_at, stretch))
        .subquery("entries")
    )


def _within(moment: Any, stretch: Stretch) -> tuple[ColumnElement[bool], ...]:
    return moment >= func.to_timestamp(stretch.start), moment < func.to_timestamp(stretch.end)

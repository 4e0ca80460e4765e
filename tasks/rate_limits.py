"""A project's limits as owners see and change them: one record for the whole, one for each model and tier."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from tasks import audit
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import RateLimitNotFound
from tasks.limit_amounts import Amounts
from tasks.limit_book import ALL, ProjectLimits, said_in
from tasks.models import RateLimit
from tasks.pages import Page, PageFilter
from tasks.plan import ServiceTier
from tasks.projects import live_project, project_of
from tasks.settings import settings

_PREFIX = "rl-"
_TIERS = (ServiceTier.DEFAULT, ServiceTier.PRIORITY, ServiceTier.FLEX)


@dataclass(frozen=True, slots=True)
class RateLimitRecord:
    """The limits that hold for a model in a tier, or with both ``*`` for all of a project's work together."""

    model: str
    service_tier: str
    amounts: Amounts

    @property
    def id(self) -> str:
        if self.service_tier in (ALL, ServiceTier.DEFAULT):
            return f"{_PREFIX}{self.model}"
        return f"{_PREFIX}{self.model}:{self.service_tier}"


def rate_limit_page(actor: Actor, project_id: str, page: PageFilter) -> Page[RateLimitRecord]:
    """A page of the limits that hold in a project, in the order of the catalogue. Raises ProjectNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        found = list(_records(connection, project_id))
    return _page(found, page)


def update_rate_limit(
    actor: Actor, project_id: str, rate_limit_id: str, changes: Mapping[str, int | None]
) -> RateLimitRecord:
    """Change some amounts; None is back to the default. It takes effect within a second.

    Raises ProjectNotFound, ProjectArchived, RateLimitNotFound.
    """
    with transaction() as connection:
        live_project(connection, actor, project_id)
        record = _find(connection, project_id, rate_limit_id)
        if changes:
            key = {"project_id": project_id, "model": record.model, "service_tier": record.service_tier}
            statement = insert(RateLimit).values(**key, **changes)
            connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(changes)))
            audit.record(
                connection,
                actor,
                "rate_limit.updated",
                record.id,
                project_id=project_id,
                changes_requested=dict(changes),
            )
        return _find(connection, project_id, rate_limit_id)


def _page(found: Sequence[RateLimitRecord], page: PageFilter) -> Page[RateLimitRecord]:
    """Records are few and have an order of their own, so a page is cut out of all of them."""
    places = {record.id: place for place, record in enumerate(found)}
    first = 0 if page.after is None else places.get(page.after, len(found)) + 1
    end = len(found) if page.before is None else places.get(page.before, 0)
    if page.before is not None and page.after is None:
        start = max(0, end - page.limit)
        return Page(list(found[start:end]), has_more=start > 0)
    wanted = found[first:end]
    return Page(list(wanted[: page.limit]), has_more=len(wanted) > page.limit)


def _find(connection: Connection, project_id: str, rate_limit_id: str) -> RateLimitRecord:
    for record in _records(connection, project_id):
        if record.id == rate_limit_id:
            return record
    raise RateLimitNotFound(f"There is no rate limit {rate_limit_id!r}.", param="rate_limit_id")


def _records(connection: Connection, project_id: str) -> Iterator[RateLimitRecord]:
    limits = ProjectLimits(said_in(connection, project_id))
    yield RateLimitRecord(ALL, ALL, limits.whole())
    for spec in settings().model_catalog():
        for tier in _TIERS:
            yield RateLimitRecord(spec.name, tier, limits.of(spec.name, tier))

"""Which limits hold: the settings', but for what is said of a project, its models and their tiers."""

from dataclasses import dataclass
from time import monotonic

import structlog
from sqlalchemy import Connection, select

from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.limit_amounts import NAMES, Amounts, amounts
from tasks.models import RateLimit
from tasks.settings import settings

ALL = "*"
"""Stands for the model and the tier where a project's work is limited as a whole."""
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 10_000

log = structlog.get_logger(__name__)

Said = dict[tuple[str, str], dict[str, int | None]]


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """A project's limits; ``said`` are those that are not the default, by model and tier."""

    said: Said

    def whole(self) -> Amounts:
        """Of everything in the project."""
        return amounts(settings().project_limits, self.said.get((ALL, ALL), {}))

    def of(self, model: str, tier: str) -> Amounts:
        """Of a model in a tier."""
        return amounts(settings().model_limits, self.said.get((model, tier), {}))


_cache: dict[str, tuple[float, ProjectLimits]] = {}


def limits_of(project_id: str) -> ProjectLimits:
    """A project's limits, at most a second old; those last known while the database is away."""
    cached = _cache.get(project_id)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    try:
        with transaction() as connection:
            found = ProjectLimits(said_in(connection, project_id))
    except DatabaseUnavailable:
        log.warning("limits of a project unknown", action="limit_book_away", project_id=project_id)
        return ProjectLimits({}) if cached is None else cached[1]
    if len(_cache) >= _CACHE_SIZE:
        _cache.clear()
    _cache[project_id] = (monotonic() + _CACHE_SECONDS, found)
    return found


def said_in(connection: Connection, project_id: str) -> Said:
    """What is said of a project's limits, by model and tier."""
    columns = (RateLimit.model, RateLimit.service_tier, *(getattr(RateLimit, name) for name in NAMES))
    rows = connection.execute(select(*columns).where(RateLimit.project_id == project_id)).all()
    return {(row[0], row[1]): dict(zip(NAMES, row[2:], strict=True)) for row in rows}

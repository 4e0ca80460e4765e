"""How many jobs may be unfinished at once: counted among the jobs themselves, so no slot can leak."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, literal, select

from tasks.errors import TooManyJobs
from tasks.models import Job


@dataclass(frozen=True, slots=True)
class JobCap:
    """``whose`` in words; of one key, of one model in one tier, or of all of a project."""

    amount: int
    whose: str
    project_id: str
    key_id: str | None = None
    model: tuple[str, str] | None = None


def check(connection: Connection, caps: Iterable[JobCap]) -> None:
    """Raises TooManyJobs where, with the jobs that this transaction admits, there are too many.

    To be called with the project's spend row locked, which admissions of one project wait for: each
    counts the jobs of all that came before, so no number of parallel submits gets past.
    """
    for cap in dict.fromkeys(caps):
        # No further than to the first that is too many.
        counted = _unfinished(cap).limit(cap.amount + 1).subquery()
        if connection.execute(select(func.count()).select_from(counted)).scalar_one() > cap.amount:
            raise TooManyJobs(
                f"The limit is {cap.amount} unfinished jobs of {cap.whose}. Try again when some have ended."
            )


def _unfinished(cap: JobCap) -> Select[int]:
    query = select(literal(1)).where(
        Job.project_id == cap.project_id, Job.ended_at.is_(None), Job.batch_id.is_(None)
    )
    if cap.key_id is not None:
        query = query.where(Job.api_key_id == cap.key_id)
    if cap.model is not None:
        query = query.where(Job.model == cap.model[0], Job.service_tier == cap.model[1])
    return query

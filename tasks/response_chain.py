"""What a response that goes on from another is told of: the chain of those before it."""

from collections.abc import Sequence

from sqlalchemy import CTE, RowMapping, func, literal, select
from sqlalchemy.orm import aliased

from tasks.db import transaction
from tasks.errors import InvalidRequest
from tasks.ids import JOB_PREFIX, RESPONSE_PREFIX, job_id_of
from tasks.models import Job, JobStatus
from tasks.plan import Endpoint
from tasks.response_turns import PlacedItem, responses_of, select_turns, turn_items

MAX_DEPTH = 1000

_PARAM = "previous_response_id"
_NOT_FOUND = "previous_response_not_found"


def chain_items(project_id: str, response_id: str) -> tuple[list[PlacedItem], bool]:
    """The input and output of a response and of all before it, and whether older ones were left out.

    Raises:
        InvalidRequest: the response, or one before it, is not there, or it has not ended yet.
    """
    job_id = job_id_of(response_id, RESPONSE_PREFIX)
    chain = _chain(project_id, job_id or "")
    query = select_turns().add_columns(chain.c.previous, chain.c.depth)
    query = query.join(chain, chain.c.id == Job.id).order_by(chain.c.depth.desc())
    with transaction() as connection:
        rows = connection.execute(query).mappings().all()
    _check(response_id, rows)
    cut = rows[0]["previous"] is not None
    return [item for row in rows for item in turn_items(row)], cut


def _chain(project_id: str, job_id: str) -> CTE:
    """The ids of the chain, the latest at depth 1."""
    first = select(Job.id, Job.request[_PARAM].astext.label("previous"), literal(1).label("depth")).where(
        *responses_of(project_id), Job.stored, Job.id == job_id
    )
    chain = first.cte("chain", recursive=True)
    earlier = aliased(Job)
    digits = func.substr(chain.c.previous, len(RESPONSE_PREFIX) + 1)
    return chain.union_all(
        select(earlier.id, earlier.request[_PARAM].astext, chain.c.depth + 1)
        .join(chain, earlier.id == literal(JOB_PREFIX) + digits)
        .where(
            earlier.project_id == project_id,
            earlier.endpoint == Endpoint.RESPONSES,
            earlier.stored,
            earlier.deleted_at.is_(None),
            chain.c.depth < MAX_DEPTH,
        )
    )


def _check(response_id: str, rows: Sequence[RowMapping]) -> None:
    if not rows:
        raise InvalidRequest(f"There is no response {response_id!r}.", param=_PARAM, code=_NOT_FOUND)
    oldest, latest = rows[0], rows[-1]
    if oldest["previous"] is not None and oldest["depth"] < MAX_DEPTH:
        raise InvalidRequest(
            f"The response {oldest['previous']!r}, which {response_id!r} goes on from, is no longer there.",
            param=_PARAM,
            code=_NOT_FOUND,
        )
    if not JobStatus(latest["status"]).ended:
        raise InvalidRequest(
            f"The response {response_id!r} is still {latest['status']}.",
            param=_PARAM,
            code="previous_response_not_ended",
        )
    if oldest["conversation_id"] is not None:
        raise InvalidRequest(
            f"The response {response_id!r} belongs to a conversation: go on with `conversation`, "
            f"{oldest['conversation_id']!r}.",
            param=_PARAM,
        )

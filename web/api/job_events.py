"""`/v1/jobs/{id}/events`: any job's tokens as they come, from wherever a client left off."""

import re

from flask import Blueprint, Response, request
from pydantic import Field

from tasks import job_queries
from tasks.errors import InvalidRequest
from tasks.wire.job_events import JobEvents
from web import auth, generation, queries, sse
from web.openapi import Events, Header, Operation, Reply, documented

blueprint = Blueprint("job_events", __name__, url_prefix="/v1/jobs")

_HEADER = "Last-Event-ID"
_QUERY = "starting_after"
_POSITION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,255}")


class JobEventsQuery(queries.Query):
    """Where to begin."""

    starting_after: str | None = Field(
        None, description="The id of the last event seen, as in the header `Last-Event-ID`."
    )


@blueprint.get("/<id:job_id>/events")
@documented(
    Operation(
        tag="Jobs",
        summary="Follow a job",
        description="Server-sent events: `job` with the job as it stands, `tokens` as they come, `job` with "
        "the ended job. Each event's id is a position: how many pieces of each output have been sent, "
        "joined by dots. With the last id seen the stream goes on right after it, also on another server "
        "process and after a worker was lost; 204 says that there is nothing after it.",
        query=JobEventsQuery,
        headers=(Header(_HEADER, "The id of the last event seen."),),
        replies={200: Reply("The events.", events=Events()), 204: Reply("The last event was seen.")},
        refusals=(400, 404, 429, 503),
    )
)
def read(job_id: str) -> Response:
    project_id = auth.principal().project_id
    last_id, param = _last_id()
    if last_id == sse.END and job_queries.get_job(project_id, job_id).status.ended:
        # What tells a browser not to come back.
        return Response(status=204)
    return generation.resume(project_id, job_id, JobEvents(_position(last_id, param), param), after=0)


def _last_id() -> tuple[str | None, str]:
    if _HEADER in request.headers:
        queries.read(JobEventsQuery)
        return request.headers[_HEADER], _HEADER
    return queries.read(JobEventsQuery).starting_after, _QUERY


def _position(last_id: str | None, param: str) -> tuple[int, ...]:
    if last_id is None:
        return ()
    if _POSITION.fullmatch(last_id) is None:
        raise InvalidRequest(f"{param} is not the id of an event of this job.", param=param)
    return tuple(map(int, last_id.split(".")))

"""Events that projects are told of: noted in the transaction that makes them happen, delivered afterwards.

A response is announced where it was made in the background, and a job of `/v1/jobs` always: whoever asks at
another address waits for the answer anyway. Lines of batches are announced with their batch.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, select

from tasks.ids import RESPONSE_PREFIX, new_id, shown_as
from tasks.models import Job, JobStatus, WebhookDelivery, WebhookEndpoint
from tasks.plan import Endpoint


class EventType(StrEnum):
    """What can be told. Those of responses and batches are the OpenAI API's, the others ours."""

    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_FAILED = "response.failed"
    RESPONSE_CANCELLED = "response.cancelled"
    RESPONSE_INCOMPLETE = "response.incomplete"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_EXPIRED = "batch.expired"
    BATCH_CANCELLED = "batch.cancelled"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    BUDGET_THRESHOLD_REACHED = "budget.threshold_reached"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a project. ``data`` names it; who wants to know more reads it."""

    project_id: str
    type: EventType
    data: dict[str, Any]
    id: str = field(default_factory=lambda: new_id("evt"))
    created_at_unix: int = field(default_factory=lambda: int(time.time()))

    @property
    def body(self) -> str:
        """As it is sent."""
        body = {"id": self.id, "object": "event", "type": self.type, "created_at": self.created_at_unix}
        return json.dumps({**body, "data": self.data}, separators=(",", ":"))


def enqueue_event(
    connection: Connection, project_id: str, event_type: EventType | str, data: dict[str, Any]
) -> None:
    """Tell a project's endpoints of something once the caller's transaction has committed."""
    enqueue(connection, [Event(project_id, EventType(event_type), data)])


def enqueue(connection: Connection, events: Sequence[Event]) -> None:
    """As ``enqueue_event``, of several. An event that no endpoint wants leaves no trace."""
    if not events:
        return
    wanted = defaultdict(list)
    query = select(WebhookEndpoint.id, WebhookEndpoint.project_id, WebhookEndpoint.event_types).where(
        WebhookEndpoint.project_id.in_({event.project_id for event in events}), *_listening()
    )
    for endpoint in connection.execute(query):
        for event_type in endpoint.event_types:
            wanted[endpoint.project_id, event_type].append(endpoint.id)
    rows = [
        _delivery(event, endpoint_id)
        for event in events
        for endpoint_id in wanted.get((event.project_id, event.type.value), ())
    ]
    if rows:
        connection.execute(insert(WebhookDelivery).values(next_attempt_at=func.now()), rows)


def announced_as() -> ColumnElement[str | None]:
    """Of a job: which kind of event its end is, null where nobody is to be told.

    The request is only looked into where its project has an endpoint at all.
    """
    of_response = and_(Job.endpoint == Endpoint.RESPONSES.value, Job.request["background"].astext == "true")
    listened = (
        select(WebhookEndpoint.id)
        .where(WebhookEndpoint.project_id == Job.project_id, *_listening())
        .correlate(Job)
        .exists()
    )
    kind = case((Job.endpoint == Endpoint.JOBS.value, "job"), (of_response, "response"), else_=None)
    return case((and_(Job.batch_id.is_(None), listened), kind), else_=None).label("announced_as")


def job_ended(project_id: str, job_id: str, kind: str, status: JobStatus, *, cut_short: bool) -> Event:
    """The end of a job that is ``announced_as`` a kind."""
    if kind == "job":
        return Event(project_id, EventType(f"job.{status}"), {"id": job_id})
    event_type = EventType.RESPONSE_INCOMPLETE if cut_short else _RESPONSES[status]
    return Event(project_id, event_type, {"id": shown_as(job_id, RESPONSE_PREFIX)})


def batches_ended(connection: Connection, batches: Iterable[Any]) -> None:
    """Tell of batches by rows with their ``id``, ``project_id`` and the ``status`` they ended in."""
    events = [
        Event(batch.project_id, EventType(f"batch.{batch.status}"), {"id": batch.id}) for batch in batches
    ]
    enqueue(connection, events)


def _listening() -> tuple[ColumnElement[bool], ...]:
    return (WebhookEndpoint.enabled.is_(True), WebhookEndpoint.deleted_at.is_(None))


def _delivery(event: Event, endpoint_id: str) -> dict[str, Any]:
    return {
        "id": new_id("whd"),
        "endpoint_id": endpoint_id,
        "event_id": event.id,
        "event_type": event.type.value,
        "body": event.body,
    }


# As the response itself says of how it ended.
_RESPONSES = {
    JobStatus.COMPLETED: EventType.RESPONSE_COMPLETED,
    JobStatus.FAILED: EventType.RESPONSE_FAILED,
    JobStatus.CANCELLED: EventType.RESPONSE_CANCELLED,
    JobStatus.EXPIRED: EventType.RESPONSE_FAILED,
}

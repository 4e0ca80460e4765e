"""The webhooks API. What is ours in it says so: the OpenAI API has no deliveries to look at."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, TypeAdapter

from tasks import webhook_urls
from tasks.webhook_deliveries import DeliveryLog, DeliveryPage, DeliveryRecord
from tasks.webhook_endpoints import EndpointPage, EndpointRecord, EndpointWithSecret
from tasks.webhook_events import EventType
from tasks.webhook_http import Attempt
from tasks.wire.fields import Strict

DeliveryStatus = Literal["pending", "delivered", "failed"]


def _check_url(url: str) -> str:
    webhook_urls.parse(url)
    return url


def _event_type(value: object) -> object:
    """JSON has no enumerations, and strict models take nothing else for one."""
    if isinstance(value, str):
        if value not in set(EventType):
            raise ValueError("must be one of those that GET /v1/webhook_event_types lists")
        return EventType(value)
    return value


def _each_once(types: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(types))


OneEventType = Annotated[EventType, BeforeValidator(_event_type)]
EventTypes = Annotated[list[OneEventType], Field(min_length=1, max_length=100), AfterValidator(_each_once)]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=webhook_urls.MAX_LENGTH),
    AfterValidator(_check_url),
    Field(description="Of the public internet, https, on port 443, 80 or one from 1024 up."),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Description = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


class EndpointRequest(Strict):
    """A new endpoint."""

    name: Name
    url: Url
    event_types: EventTypes
    description: Description | None = Field(None, description="Ours.")
    enabled: bool = Field(True, description="Ours.")

    def values(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class EndpointChanges(Strict):
    """What is left out stays as it is."""

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = Field(None, description="Ours. An empty one takes it away.")
    enabled: bool | None = Field(
        None, description="Ours. Disabling gives up what is on its way; it can be replayed."
    )

    def values(self) -> dict[str, Any]:
        """Of those that were given; the API takes null for left out."""
        changes = self.model_dump(mode="json", exclude_none=True)
        if "description" in changes:
            changes["description"] = changes["description"] or None
        return changes


class RotationRequest(Strict):
    """How to rotate."""

    keep_old_secret_active_for_24_hours: bool = Field(
        False, description="Messages then carry a signature by each secret for so long."
    )


class SampleRequest(Strict):
    """What to send for a test."""

    event_type: OneEventType


class EndpointBody(BaseModel):
    """A webhook endpoint."""

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str
    description: str | None = Field(description="Ours.")
    enabled: bool = Field(description="Ours.")
    disabled_reason: str | None = Field(description="Ours: why it was disabled, if not by its project.")
    previous_secret_expires_at: int | None = Field(description="Ours: until when the old secret signs, too.")


class EndpointWithSecretBody(EndpointBody):
    """A webhook endpoint with its secret, which is shown this once."""

    signing_secret: str


class EndpointListBody(BaseModel):
    """A page of webhook endpoints."""

    object: Literal["list"] = "list"
    data: list[EndpointBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


class EndpointDeleted(BaseModel):
    """A webhook endpoint is no more."""

    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class SampleResult(BaseModel):
    """What came of a test: the endpoint answered, well or not."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: Literal[True] = True


class EventTypeListBody(BaseModel):
    """What can be told."""

    object: Literal["list"] = "list"
    data: list[str]


class DeliveryBody(BaseModel):
    """An event on its way to an endpoint, or there, or given up."""

    id: str
    object: Literal["webhook_delivery"] = "webhook_delivery"
    webhook_endpoint_id: str
    event_id: str = Field(description="Sent as `webhook-id`; the same in every try.")
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: int | None
    last_status_code: int | None
    last_error: str | None
    created_at: int
    delivered_at: int | None


class AttemptBody(BaseModel):
    """A try."""

    started_at: int
    duration_ms: int
    status_code: int | None = Field(description="`null`: there was no answer.")
    error: str | None


class DeliveryLogBody(DeliveryBody):
    """A delivery with its body and its latest tries."""

    body: str
    attempt_log: list[AttemptBody]


class DeliveryListBody(BaseModel):
    """A page of deliveries."""

    object: Literal["list"] = "list"
    data: list[DeliveryBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


ENDPOINT_REQUEST: TypeAdapter[EndpointRequest] = TypeAdapter(EndpointRequest)
ENDPOINT_CHANGES: TypeAdapter[EndpointChanges] = TypeAdapter(EndpointChanges)
ROTATION_REQUEST: TypeAdapter[RotationRequest] = TypeAdapter(RotationRequest)
SAMPLE_REQUEST: TypeAdapter[SampleRequest] = TypeAdapter(SampleRequest)


def endpoint_body(endpoint: EndpointRecord) -> EndpointBody:
    return EndpointBody(**_shown(endpoint))


def endpoint_with_secret_body(made: EndpointWithSecret) -> EndpointWithSecretBody:
    return EndpointWithSecretBody(**_shown(made.endpoint), signing_secret=made.secret)


def endpoint_list_body(page: EndpointPage) -> EndpointListBody:
    data = [endpoint_body(endpoint) for endpoint in page.items]
    return EndpointListBody(data=data, **_ends([one.id for one in data]), has_more=page.has_more)


def delivery_list_body(page: DeliveryPage) -> DeliveryListBody:
    data = [DeliveryBody(**_delivery(delivery)) for delivery in page.items]
    return DeliveryListBody(data=data, **_ends([one.id for one in data]), has_more=page.has_more)


def delivery_log_body(log: DeliveryLog) -> DeliveryLogBody:
    tries = [_attempt_body(attempt) for attempt in log.attempts]
    return DeliveryLogBody(**_delivery(log.delivery), body=log.delivery.body, attempt_log=tries)


def event_type_list_body() -> EventTypeListBody:
    return EventTypeListBody(data=[event_type.value for event_type in EventType])


def _shown(endpoint: EndpointRecord) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "created_at": _unix(endpoint.created_at),
        "updated_at": _unix(endpoint.updated_at),
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "signing_secret_hint": endpoint.secret_hint,
        "description": endpoint.description,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "previous_secret_expires_at": _unix(endpoint.previous_secret_expires_at),
    }


def _delivery(delivery: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_attempt_at": _unix(delivery.next_attempt_at),
        "last_status_code": delivery.last_status_code,
        "last_error": delivery.last_error,
        "created_at": _unix(delivery.created_at),
        "delivered_at": _unix(delivery.delivered_at),
    }


def _attempt_body(attempt: Attempt) -> AttemptBody:
    return AttemptBody(
        started_at=int(attempt.started_at.timestamp()),
        duration_ms=attempt.duration_ms,
        status_code=attempt.status_code,
        error=attempt.error,
    )


def _ends(ids: list[str]) -> dict[str, str | None]:
    return {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())

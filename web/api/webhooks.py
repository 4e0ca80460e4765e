"""`/v1/webhook_endpoints`: where a project wants to be told of events."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import webhook_endpoints, webhook_message
from tasks.wire.webhooks import (
    ENDPOINT_CHANGES,
    ENDPOINT_REQUEST,
    ROTATION_REQUEST,
    SAMPLE_REQUEST,
    EndpointBody,
    EndpointDeleted,
    EndpointListBody,
    EndpointWithSecretBody,
    EventTypeListBody,
    SampleResult,
    endpoint_body,
    endpoint_list_body,
    endpoint_with_secret_body,
    event_type_list_body,
)
from web import auth, bodies, queries
from web.openapi import Operation, Reply, documented
from web.webhook_queries import EndpointListQuery

blueprint = Blueprint("webhooks", __name__, url_prefix="/v1")

_ONE = "/webhook_endpoints/<id:webhook_endpoint_id>"


@blueprint.get("/webhook_event_types")
@documented(
    Operation(
        tag="Webhooks",
        summary="List the events that can be told",
        replies={200: Reply("Their types.", EventTypeListBody)},
        refusals=(429, 503),
    )
)
def event_types() -> Response:
    return _json(event_type_list_body())


@blueprint.post("/webhook_endpoints")
@documented(
    Operation(
        tag="Webhooks",
        summary="Create a webhook endpoint",
        description="Its `signing_secret` is shown this once.",
        body=ENDPOINT_REQUEST,
        replies={200: Reply("The endpoint, with its secret.", EndpointWithSecretBody)},
        refusals=(400, 413, 415, 429, 503),
    )
)
def create() -> Response:
    wanted = bodies.read(ENDPOINT_REQUEST)
    made = webhook_endpoints.create_endpoint(auth.principal().project_id, wanted.values())
    return _json(endpoint_with_secret_body(made))


@blueprint.get("/webhook_endpoints")
@documented(
    Operation(
        tag="Webhooks",
        summary="List webhook endpoints",
        description="Newest first; `after` takes the `last_id` of a page to the next one.",
        query=EndpointListQuery,
        replies={200: Reply("A page of endpoints.", EndpointListBody)},
        refusals=(400, 429, 503),
    )
)
def index() -> Response:
    wanted = queries.read(EndpointListQuery)
    page = webhook_endpoints.list_endpoints(auth.principal().project_id, wanted.after, wanted.limit)
    return _json(endpoint_list_body(page))


@blueprint.get(_ONE)
@documented(
    Operation(
        tag="Webhooks",
        summary="Read a webhook endpoint",
        replies={200: Reply("The endpoint.", EndpointBody)},
        refusals=(404, 429, 503),
    )
)
def read(webhook_endpoint_id: str) -> Response:
    found = webhook_endpoints.get_endpoint(auth.principal().project_id, webhook_endpoint_id)
    return _json(endpoint_body(found))


@blueprint.post(_ONE)
@documented(
    Operation(
        tag="Webhooks",
        summary="Change a webhook endpoint",
        description="What is on its way goes to the new address, too.",
        body=ENDPOINT_CHANGES,
        replies={200: Reply("The endpoint.", EndpointBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def update(webhook_endpoint_id: str) -> Response:
    changes = bodies.read(ENDPOINT_CHANGES).values()
    project_id = auth.principal().project_id
    return _json(endpoint_body(webhook_endpoints.update_endpoint(project_id, webhook_endpoint_id, changes)))


@blueprint.delete(_ONE)
@documented(
    Operation(
        tag="Webhooks",
        summary="Delete a webhook endpoint",
        description="Nothing more is sent there, and its deliveries can't be read any more.",
        replies={200: Reply("It is gone.", EndpointDeleted)},
        refusals=(404, 429, 503),
    )
)
def delete(webhook_endpoint_id: str) -> Response:
    webhook_endpoints.delete_endpoint(auth.principal().project_id, webhook_endpoint_id)
    return _json(EndpointDeleted(id=webhook_endpoint_id))


@blueprint.post(f"{_ONE}/rotate_secret")
@documented(
    Operation(
        tag="Webhooks",
        summary="Give a webhook endpoint a new secret",
        description="Its `signing_secret` is shown this once.",
        body=ROTATION_REQUEST,
        replies={200: Reply("The endpoint, with its new secret.", EndpointWithSecretBody)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def rotate_secret(webhook_endpoint_id: str) -> Response:
    keep_old = bodies.read(ROTATION_REQUEST).keep_old_secret_active_for_24_hours
    project_id = auth.principal().project_id
    made = webhook_endpoints.rotate_secret(project_id, webhook_endpoint_id, keep_old=keep_old)
    return _json(endpoint_with_secret_body(made))


@blueprint.post(f"{_ONE}/test")
@documented(
    Operation(
        tag="Webhooks",
        summary="Send a webhook endpoint a sample",
        description="Once and at once, whatever it listens to; it is not among its deliveries. The event's "
        "`data.id` names nothing. Without an answer this is a 400 with the code `webhook_unreachable`.",
        body=SAMPLE_REQUEST,
        replies={200: Reply("What it answered.", SampleResult)},
        refusals=(400, 404, 413, 415, 429, 503),
    )
)
def test(webhook_endpoint_id: str) -> Response:
    event_type = bodies.read(SAMPLE_REQUEST).event_type
    answered = webhook_message.send_sample(auth.principal().project_id, webhook_endpoint_id, event_type)
    result = SampleResult(
        webhook_endpoint_id=webhook_endpoint_id, event_type=event_type, status_code=answered
    )
    return _json(result)


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

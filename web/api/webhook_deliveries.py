"""`/v1/webhook_endpoints/{id}/deliveries`: what was sent, what came of it, and sending it again."""

from flask import Blueprint, Response
from pydantic import BaseModel

from tasks import webhook_deliveries
from tasks.wire.webhooks import DeliveryListBody, DeliveryLogBody, delivery_list_body, delivery_log_body
from web import auth, queries
from web.openapi import Operation, Reply, documented
from web.webhook_queries import DeliveryListQuery

blueprint = Blueprint(
    "webhook_deliveries", __name__, url_prefix="/v1/webhook_endpoints/<id:webhook_endpoint_id>/deliveries"
)


@blueprint.get("")
@documented(
    Operation(
        tag="Webhooks",
        summary="List deliveries (ours)",
        description="Not part of the OpenAI API. Newest first; `after` takes the `last_id` of a page to the "
        "next one.",
        query=DeliveryListQuery,
        replies={200: Reply("A page of deliveries.", DeliveryListBody)},
        refusals=(400, 404, 429, 503),
    )
)
def index(webhook_endpoint_id: str) -> Response:
    wanted = queries.read(DeliveryListQuery).model_dump()
    project_id = auth.principal().project_id
    page = webhook_deliveries.list_deliveries(project_id, webhook_endpoint_id, **wanted)
    return _json(delivery_list_body(page))


@blueprint.get("/<id:delivery_id>")
@documented(
    Operation(
        tag="Webhooks",
        summary="Read a delivery (ours)",
        description="Not part of the OpenAI API. With its body, and a log of its latest tries.",
        replies={200: Reply("The delivery.", DeliveryLogBody)},
        refusals=(404, 429, 503),
    )
)
def read(webhook_endpoint_id: str, delivery_id: str) -> Response:
    project_id = auth.principal().project_id
    return _json(
        delivery_log_body(webhook_deliveries.get_delivery(project_id, webhook_endpoint_id, delivery_id))
    )


@blueprint.post("/<id:delivery_id>/replay")
@documented(
    Operation(
        tag="Webhooks",
        summary="Send a delivery again (ours)",
        description="Not part of the OpenAI API. The same message with the same `webhook-id`, whatever has "
        "become of it, with all tries before it.",
        replies={200: Reply("The delivery, pending.", DeliveryLogBody)},
        refusals=(404, 409, 429, 503),
    )
)
def replay(webhook_endpoint_id: str, delivery_id: str) -> Response:
    project_id = auth.principal().project_id
    return _json(
        delivery_log_body(webhook_deliveries.replay_delivery(project_id, webhook_endpoint_id, delivery_id))
    )


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), mimetype="application/json")

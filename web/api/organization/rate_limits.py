"""`/v1/organization/projects/{id}/rate_limits`: what a project may send, by model and service tier."""

from flask import Blueprint, Response

from tasks import rate_limits
from tasks.wire.organization.rate_limits import (
    RATE_LIMIT_UPDATE,
    RateLimitBody,
    RateLimitListBody,
    rate_limit_body,
    rate_limit_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import RateLimitListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("rate_limits", __name__, url_prefix="/projects/<id:project_id>/rate_limits")


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List a project's rate limits",
        description="Of all its work together first, then of each model in each service tier.",
        query=RateLimitListQuery,
        replies={200: Reply("A page of limits.", RateLimitListBody)},
        refusals=(400, 404, 503),
    )
)
def index(project_id: str) -> Response:
    page = queries.read(RateLimitListQuery).page()
    return body(rate_limit_list_body(rate_limits.rate_limit_page(auth.actor(), project_id, page)))


@blueprint.post("/<rate_limit_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Change a rate limit",
        description="It takes effect within a second. 0 is no limit, `null` the default.",
        body=RATE_LIMIT_UPDATE,
        replies={200: Reply("The limit.", RateLimitBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def change(project_id: str, rate_limit_id: str) -> Response:
    changes = bodies.read(RATE_LIMIT_UPDATE).changes()
    record = rate_limits.update_rate_limit(auth.actor(), project_id, rate_limit_id, changes)
    return body(rate_limit_body(record))

"""`…/spend_limit` and `…/spend_alerts`: of the organization, and of each project."""

from flask import Blueprint, Response

from tasks import spend_alerts, spend_limits
from tasks.wire.organization.spend import (
    SPEND_ALERT,
    SPEND_LIMIT,
    SpendAlertBody,
    SpendAlertDeleted,
    SpendAlertListBody,
    SpendLimitBody,
    SpendLimitDeleted,
    scope_of,
    spend_alert_body,
    spend_alert_deleted,
    spend_alert_list_body,
    spend_limit_body,
    spend_limit_deleted,
)
from web import auth, bodies, queries
from web.admin_queries import SpendAlertListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("spend", __name__)


@documented(
    Operation(
        tag="Admin",
        summary="Read a spend limit",
        replies={200: Reply("The limit.", SpendLimitBody)},
        refusals=(404, 503),
    )
)
def read_limit(project_id: str | None = None) -> Response:
    return body(spend_limit_body(spend_limits.get_spend_limit(auth.actor(), project_id)))


@documented(
    Operation(
        tag="Admin",
        summary="Set a spend limit",
        description="What may be spent in a month, in UTC; it holds for what is admitted from now on.",
        body=SPEND_LIMIT,
        replies={200: Reply("The limit.", SpendLimitBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def set_limit(project_id: str | None = None) -> Response:
    limit_usd = bodies.read(SPEND_LIMIT).threshold_usd
    return body(spend_limit_body(spend_limits.set_spend_limit(auth.actor(), project_id, limit_usd)))


@documented(
    Operation(
        tag="Admin",
        summary="Remove a spend limit",
        replies={200: Reply("It is done.", SpendLimitDeleted)},
        refusals=(404, 409, 503),
    )
)
def remove_limit(project_id: str | None = None) -> Response:
    spend_limits.delete_spend_limit(auth.actor(), project_id)
    return body(spend_limit_deleted(scope_of(project_id)))


@documented(
    Operation(
        tag="Admin",
        summary="List spend alerts",
        query=SpendAlertListQuery,
        replies={200: Reply("A page of alerts.", SpendAlertListBody)},
        refusals=(400, 404, 503),
    )
)
def list_alerts(project_id: str | None = None) -> Response:
    wanted = queries.read(SpendAlertListQuery).page()
    page = spend_alerts.list_spend_alerts(auth.actor(), project_id, wanted)
    return body(spend_alert_list_body(scope_of(project_id), page))


@documented(
    Operation(
        tag="Admin",
        summary="Create a spend alert",
        description="Mail is sent once a month, within seconds of the charge that reaches the threshold.",
        body=SPEND_ALERT,
        replies={200: Reply("The alert.", SpendAlertBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def create_alert(project_id: str | None = None) -> Response:
    asked = bodies.read(SPEND_ALERT)
    channel = asked.notification_channel
    alert = spend_alerts.create_spend_alert(
        auth.actor(), project_id, asked.threshold_usd, channel.recipients, channel.subject_prefix
    )
    return body(spend_alert_body(scope_of(project_id), alert))


@documented(
    Operation(
        tag="Admin",
        summary="Read a spend alert",
        replies={200: Reply("The alert.", SpendAlertBody)},
        refusals=(404, 503),
    )
)
def read_alert(alert_id: str, project_id: str | None = None) -> Response:
    alert = spend_alerts.get_spend_alert(auth.actor(), project_id, alert_id)
    return body(spend_alert_body(scope_of(project_id), alert))


@documented(
    Operation(
        tag="Admin",
        summary="Change a spend alert",
        body=SPEND_ALERT,
        replies={200: Reply("The alert.", SpendAlertBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def change_alert(alert_id: str, project_id: str | None = None) -> Response:
    asked = bodies.read(SPEND_ALERT)
    channel = asked.notification_channel
    alert = spend_alerts.change_spend_alert(
        auth.actor(), project_id, alert_id, asked.threshold_usd, channel.recipients, channel.subject_prefix
    )
    return body(spend_alert_body(scope_of(project_id), alert))


@documented(
    Operation(
        tag="Admin",
        summary="Remove a spend alert",
        replies={200: Reply("It is done.", SpendAlertDeleted)},
        refusals=(404, 409, 503),
    )
)
def remove_alert(alert_id: str, project_id: str | None = None) -> Response:
    spend_alerts.delete_spend_alert(auth.actor(), project_id, alert_id)
    return body(spend_alert_deleted(scope_of(project_id), alert_id))


for scope, place in (("organization", ""), ("project", "/projects/<id:project_id>")):
    for method, path, view in (
        ("GET", "/spend_limit", read_limit),
        ("POST", "/spend_limit", set_limit),
        ("DELETE", "/spend_limit", remove_limit),
        ("GET", "/spend_alerts", list_alerts),
        ("POST", "/spend_alerts", create_alert),
        ("GET", "/spend_alerts/<id:alert_id>", read_alert),
        ("POST", "/spend_alerts/<id:alert_id>", change_alert),
        ("DELETE", "/spend_alerts/<id:alert_id>", remove_alert),
    ):
        blueprint.add_url_rule(place + path, f"{scope}_{view.__name__}", view, methods=[method])

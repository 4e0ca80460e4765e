"""`/v1/organization/projects/{id}/api_keys`: a project's keys."""

from flask import Blueprint, Response

from tasks import project_keys
from tasks.wire.organization.api_keys import (
    ProjectKeyBody,
    ProjectKeyDeleted,
    ProjectKeyListBody,
    project_key_body,
    project_key_list_body,
)
from web import auth, queries
from web.admin_queries import ProjectKeyListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("api_keys", __name__, url_prefix="/projects/<id:project_id>/api_keys")


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List a project's keys",
        description="Those that are not revoked, oldest first.",
        query=ProjectKeyListQuery,
        replies={200: Reply("A page of keys.", ProjectKeyListBody)},
        refusals=(400, 404, 503),
    )
)
def index(project_id: str) -> Response:
    wanted = queries.read(ProjectKeyListQuery)
    access = wanted.owner_project_access
    page = project_keys.list_project_keys(auth.actor(), project_id, wanted.page(), access)
    return body(project_key_list_body(page))


@blueprint.get("/<id:api_key_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read what is known of a key",
        replies={200: Reply("The key.", ProjectKeyBody)},
        refusals=(404, 503),
    )
)
def read(project_id: str, api_key_id: str) -> Response:
    return body(project_key_body(project_keys.get_project_key(auth.actor(), project_id, api_key_id)))


@blueprint.delete("/<id:api_key_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Revoke a key",
        description="It stops working within a second.",
        replies={200: Reply("It is done.", ProjectKeyDeleted)},
        refusals=(404, 503),
    )
)
def remove(project_id: str, api_key_id: str) -> Response:
    project_keys.delete_project_key(auth.actor(), project_id, api_key_id)
    return body(ProjectKeyDeleted(id=api_key_id))

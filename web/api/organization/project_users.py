"""`/v1/organization/projects/{id}/users`: who belongs to a project."""

from flask import Blueprint, Response

from tasks import memberships
from tasks.wire.organization.roles import role_of
from tasks.wire.organization.users import (
    PROJECT_USER_CREATE,
    PROJECT_USER_UPDATE,
    ProjectUserBody,
    ProjectUserDeleted,
    ProjectUserListBody,
    project_user_body,
    project_user_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import PageQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("project_users", __name__, url_prefix="/projects/<id:project_id>/users")


@blueprint.post("")
@documented(
    Operation(
        tag="Admin",
        summary="Add a user to a project",
        body=PROJECT_USER_CREATE,
        replies={200: Reply("The user.", ProjectUserBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def create(project_id: str) -> Response:
    asked = bodies.read(PROJECT_USER_CREATE)
    member = memberships.add_member(
        auth.actor(), project_id, role_of(asked.role), user_id=asked.user_id, email=asked.email
    )
    return body(project_user_body(member))


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List a project's users",
        query=PageQuery,
        replies={200: Reply("A page of users.", ProjectUserListBody)},
        refusals=(400, 404, 503),
    )
)
def index(project_id: str) -> Response:
    wanted = queries.read(PageQuery).page()
    return body(project_user_list_body(memberships.list_members(auth.actor(), project_id, wanted)))


@blueprint.get("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read a project's user",
        replies={200: Reply("The user.", ProjectUserBody)},
        refusals=(404, 503),
    )
)
def read(project_id: str, user_id: str) -> Response:
    return body(project_user_body(memberships.get_member(auth.actor(), project_id, user_id)))


@blueprint.post("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Change a user's role in a project",
        description="Within a second the user's keys are good for no more than the new role may do.",
        body=PROJECT_USER_UPDATE,
        replies={200: Reply("The user.", ProjectUserBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def change(project_id: str, user_id: str) -> Response:
    role = role_of(bodies.read(PROJECT_USER_UPDATE).role)
    return body(project_user_body(memberships.set_member_role(auth.actor(), project_id, user_id, role)))


@blueprint.delete("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Take a user out of a project",
        description="The user's keys of this project stop within a second.",
        replies={200: Reply("It is done.", ProjectUserDeleted)},
        refusals=(404, 503),
    )
)
def remove(project_id: str, user_id: str) -> Response:
    memberships.remove_member(auth.actor(), project_id, user_id)
    return body(ProjectUserDeleted(id=user_id))

"""`/v1/organization/users`: the people of the organization."""

from flask import Blueprint, Response

from tasks import users
from tasks.wire.organization.roles import role_of
from tasks.wire.organization.users import (
    USER_UPDATE,
    UserBody,
    UserDeleted,
    UserListBody,
    user_body,
    user_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import UserListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List users",
        query=UserListQuery,
        replies={200: Reply("A page of users.", UserListBody)},
        refusals=(400, 503),
    )
)
def index() -> Response:
    wanted = queries.read(UserListQuery)
    return body(user_list_body(users.list_users(auth.actor(), wanted.page(), wanted.emails)))


@blueprint.get("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read a user",
        replies={200: Reply("The user.", UserBody)},
        refusals=(404, 503),
    )
)
def read(user_id: str) -> Response:
    return body(user_body(users.get_user(auth.actor(), user_id)))


@blueprint.post("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Change a user's role in the organization",
        description="Admin keys of whoever is no longer owner or admin stop within a second.",
        body=USER_UPDATE,
        replies={200: Reply("The user.", UserBody)},
        refusals=(400, 404, 413, 415, 503),
    )
)
def change(user_id: str) -> Response:
    role = role_of(bodies.read(USER_UPDATE).role)
    return body(user_body(users.set_role(auth.actor(), user_id, role)))


@blueprint.delete("/<id:user_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Delete a user",
        description="From every project too; the user's keys stop within a second.",
        replies={200: Reply("It is done.", UserDeleted)},
        refusals=(404, 503),
    )
)
def remove(user_id: str) -> Response:
    users.delete_user(auth.actor(), user_id)
    return body(UserDeleted(id=user_id))

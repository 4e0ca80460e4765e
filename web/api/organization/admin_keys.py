"""`/v1/organization/admin_api_keys`: keys of the admin API itself."""

from flask import Blueprint, Response

from tasks import admin_keys
from tasks.wire.organization.admin_keys import (
    ADMIN_KEY_CREATE,
    AdminKeyBody,
    AdminKeyCreated,
    AdminKeyDeleted,
    AdminKeyListBody,
    admin_key_body,
    admin_key_created,
    admin_key_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import AdminKeyListQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("admin_keys", __name__, url_prefix="/admin_api_keys")


@blueprint.post("")
@documented(
    Operation(
        tag="Admin",
        summary="Create an admin key",
        description="Its value is shown this once. It belongs to whom the key that asks belongs to.",
        body=ADMIN_KEY_CREATE,
        replies={200: Reply("The key.", AdminKeyCreated)},
        refusals=(400, 413, 415, 503),
    )
)
def create() -> Response:
    asked = bodies.read(ADMIN_KEY_CREATE)
    made = admin_keys.create_admin_key(auth.actor(), asked.name, asked.expires_in_seconds)
    return body(admin_key_created(*made))


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List admin keys",
        query=AdminKeyListQuery,
        replies={200: Reply("A page of admin keys.", AdminKeyListBody)},
        refusals=(400, 503),
    )
)
def index() -> Response:
    wanted = queries.read(AdminKeyListQuery).page()
    return body(admin_key_list_body(admin_keys.list_admin_keys(auth.actor(), wanted)))


@blueprint.get("/<id:key_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read what is known of an admin key",
        replies={200: Reply("The key.", AdminKeyBody)},
        refusals=(404, 503),
    )
)
def read(key_id: str) -> Response:
    return body(admin_key_body(admin_keys.get_admin_key(auth.actor(), key_id)))


@blueprint.delete("/<id:key_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Revoke an admin key",
        description="It stops working within a second.",
        replies={200: Reply("It is done.", AdminKeyDeleted)},
        refusals=(404, 503),
    )
)
def remove(key_id: str) -> Response:
    admin_keys.revoke_admin_key(auth.actor(), key_id)
    return body(AdminKeyDeleted(id=key_id))

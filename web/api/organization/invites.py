"""`/v1/organization/invites`: who may come in."""

from flask import Blueprint, Response

from tasks import invites
from tasks.wire.organization.invites import (
    INVITE_CREATE,
    InviteBody,
    InviteDeleted,
    InviteListBody,
    invite_body,
    invite_list_body,
)
from tasks.wire.organization.roles import role_of
from web import auth, bodies, queries
from web.admin_queries import PageQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("invites", __name__, url_prefix="/invites")


@blueprint.post("")
@documented(
    Operation(
        tag="Admin",
        summary="Invite somebody",
        description="It is open for seven days. No mail is sent.",
        body=INVITE_CREATE,
        replies={200: Reply("The invitation.", InviteBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def create() -> Response:
    asked = bodies.read(INVITE_CREATE)
    made = invites.invite(auth.actor(), asked.email, role_of(asked.role), asked.project_invites())
    return body(invite_body(made))


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List invitations",
        query=PageQuery,
        replies={200: Reply("A page of invitations.", InviteListBody)},
        refusals=(400, 503),
    )
)
def index() -> Response:
    wanted = queries.read(PageQuery).page()
    return body(invite_list_body(invites.list_invites(auth.actor(), wanted)))


@blueprint.get("/<id:invite_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read an invitation",
        replies={200: Reply("The invitation.", InviteBody)},
        refusals=(404, 503),
    )
)
def read(invite_id: str) -> Response:
    return body(invite_body(invites.get_invite(auth.actor(), invite_id)))


@blueprint.delete("/<id:invite_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Take an invitation back",
        replies={200: Reply("It is done.", InviteDeleted)},
        refusals=(404, 503),
    )
)
def remove(invite_id: str) -> Response:
    invites.delete_invite(auth.actor(), invite_id)
    return body(InviteDeleted(id=invite_id))

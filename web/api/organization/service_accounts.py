"""`/v1/organization/projects/{id}/service_accounts`: programs with keys of their own."""

from flask import Blueprint, Response

from tasks import service_accounts
from tasks.wire.organization.roles import role_of
from tasks.wire.organization.service_accounts import (
    SERVICE_ACCOUNT_CREATE,
    SERVICE_ACCOUNT_KEY,
    SERVICE_ACCOUNT_UPDATE,
    ServiceAccountBody,
    ServiceAccountCreated,
    ServiceAccountDeleted,
    ServiceAccountKeyBody,
    ServiceAccountListBody,
    service_account_body,
    service_account_created,
    service_account_key_body,
    service_account_list_body,
)
from web import auth, bodies, queries
from web.admin_queries import PageQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("service_accounts", __name__, url_prefix="/projects/<id:project_id>/service_accounts")


@blueprint.post("")
@documented(
    Operation(
        tag="Admin",
        summary="Create a service account",
        description="A member of the project. The value of its first key is shown this once.",
        body=SERVICE_ACCOUNT_CREATE,
        replies={200: Reply("The service account with its first key.", ServiceAccountCreated)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def create(project_id: str) -> Response:
    asked = bodies.read(SERVICE_ACCOUNT_CREATE)
    bare = bool(asked.create_service_account_only)
    made = service_accounts.create_service_account(
        auth.actor(), project_id, asked.name, bare=bare, expires_in_seconds=asked.expires_in_seconds
    )
    return body(service_account_created(*made))


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List a project's service accounts",
        query=PageQuery,
        replies={200: Reply("A page of service accounts.", ServiceAccountListBody)},
        refusals=(400, 404, 503),
    )
)
def index(project_id: str) -> Response:
    wanted = queries.read(PageQuery).page()
    page = service_accounts.list_service_accounts(auth.actor(), project_id, wanted)
    return body(service_account_list_body(page))


@blueprint.get("/<id:service_account_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Read a service account",
        replies={200: Reply("The service account.", ServiceAccountBody)},
        refusals=(404, 503),
    )
)
def read(project_id: str, service_account_id: str) -> Response:
    account = service_accounts.get_service_account(auth.actor(), project_id, service_account_id)
    return body(service_account_body(account))


@blueprint.post("/<id:service_account_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Change a service account",
        body=SERVICE_ACCOUNT_UPDATE,
        replies={200: Reply("The service account.", ServiceAccountBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def change(project_id: str, service_account_id: str) -> Response:
    asked = bodies.read(SERVICE_ACCOUNT_UPDATE)
    role = None if asked.role is None else role_of(asked.role)
    account = service_accounts.update_service_account(
        auth.actor(), project_id, service_account_id, name=asked.name, role=role
    )
    return body(service_account_body(account))


@blueprint.delete("/<id:service_account_id>")
@documented(
    Operation(
        tag="Admin",
        summary="Delete a service account",
        description="Its keys stop within a second.",
        replies={200: Reply("It is done.", ServiceAccountDeleted)},
        refusals=(404, 503),
    )
)
def remove(project_id: str, service_account_id: str) -> Response:
    service_accounts.delete_service_account(auth.actor(), project_id, service_account_id)
    return body(ServiceAccountDeleted(id=service_account_id))


@blueprint.post("/<id:service_account_id>/api_keys")
@documented(
    Operation(
        tag="Admin",
        summary="Create a key for a service account",
        description="Its value is shown this once.",
        body=SERVICE_ACCOUNT_KEY,
        replies={200: Reply("The key.", ServiceAccountKeyBody)},
        refusals=(400, 404, 409, 413, 415, 503),
    )
)
def create_key(project_id: str, service_account_id: str) -> Response:
    asked = bodies.read(SERVICE_ACCOUNT_KEY)
    key = service_accounts.create_service_account_key(
        auth.actor(), project_id, service_account_id, asked.name, asked.scopes, asked.expires_in_seconds
    )
    return body(service_account_key_body(key))

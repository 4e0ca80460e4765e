"""Who is asking: an API key, a token or a signature in, a principal out."""

from typing import NoReturn

from flask import Flask, g, request
from structlog.contextvars import bind_contextvars

from tasks import admin_keys, job_queries, keys, signatures
from tasks import principal as principals
from tasks.actor import Actor
from tasks.errors import AuthenticationFailed, PermissionDenied
from tasks.principal import Principal
from tasks.scopes import READ, WRITE
from web import signed_requests
from web.client_address import client_address
from web.requests import request_id

# Closed by default: a blueprint that is not named here needs a key.
PUBLIC_BLUEPRINTS = frozenset({"health", "metrics", "docs", "swagger_ui"})
# It and all that is registered under it take admin keys, and nothing else does.
ADMIN_BLUEPRINT = "organization"
RESOURCES = {
    "batches": "batches",
    "chat": "chat",
    "completions": "completions",
    "conversations": "conversations",
    "embeddings": "embeddings",
    "files": "files",
    "job_events": "jobs",
    "jobs": "jobs",
    "models": "models",
    "receipts": "jobs",
    "responses": "responses",
    "uploads": "files",
}
"""Whose scopes a blueprint asks for; one that is not named here asks for a wildcard."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    app.before_request(_require_key)
    app.teardown_request(signed_requests.close_body)


def principal() -> Principal:
    """Whose request is being served."""
    value: Principal = g.principal
    return value


def actor() -> Actor:
    """Whose request on the admin plane is being served."""
    value: Actor = g.actor
    return value


def caller_id() -> str:
    """The key of whichever kind that the request was sent with."""
    return str(actor().id) if "actor" in g else principal().api_key_id


def is_admin() -> bool:
    """Whether this request belongs to the admin plane."""
    return ADMIN_BLUEPRINT in request.blueprints


def is_public() -> bool:
    """Whether this request needs no key; an address that does not exist needs none to be told so."""
    return request.endpoint is None or request.blueprint in PUBLIC_BLUEPRINTS


def _require_key() -> None:
    if is_public():
        return
    token = _bearer_token()
    if is_admin():
        g.actor = _admin(token)
        return
    if token.startswith(admin_keys.PREFIX):
        _refuse_admin_key(token)
    signed = signed_requests.signed_request()
    g.principal = keys.authenticate(token) if signed is None else signatures.authenticate(token, signed)
    bind_contextvars(project_id=g.principal.project_id)
    principals.demand_address(g.principal, client_address())
    action = READ if request.method in _READING else WRITE
    principals.demand(g.principal, action, RESOURCES.get(request.blueprint or ""))
    if signed is not None:
        signed_requests.check_body(signed)
    _hide_what_is_not_theirs()


def _hide_what_is_not_theirs() -> None:
    """End users share a project, and see no jobs but their own. Raises JobNotFound."""
    job_id = (request.view_args or {}).get("job_id")
    sender = principal().sees_jobs_of
    if job_id is not None and sender is not None:
        job_queries.check_sender(principal().project_id, job_id, sender)


def _admin(token: str) -> Actor:
    """Whose admin key this is; who holds a good key of the other kind learns what it is not good for."""
    if not token.startswith(admin_keys.PREFIX):
        keys.authenticate(token)
        raise PermissionDenied("This address takes admin keys only.", code="admin_key_required")
    address = client_address()
    return admin_keys.asking(token, request_id=request_id(), ip=None if address is None else str(address))


def _refuse_admin_key(token: str) -> NoReturn:
    """Strangers learn nothing here either."""
    admin_keys.authenticate(token)
    raise PermissionDenied(
        "This is an admin key: it is good for /v1/organization only.", code="project_key_required"
    )


def _bearer_token() -> str:
    header = request.headers.get("Authorization")
    if header is None:
        raise AuthenticationFailed("No API key given: send it in the header `Authorization: Bearer KEY`.")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed("The header must read `Authorization: Bearer KEY`.")
    return token.strip()

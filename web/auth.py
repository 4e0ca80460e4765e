"""Who is asking: an API key in, a principal out."""

from flask import Flask, g, request

from tasks import admin_keys, keys
from tasks.actor import Actor
from tasks.errors import AuthenticationFailed, PermissionDenied
from tasks.keys import Principal
from web.requests import request_id

# Closed by default: a blueprint that is not named here needs a key.
PUBLIC_BLUEPRINTS = frozenset({"health", "docs", "swagger_ui"})
# It and all that is registered under it take admin keys, and nothing else does.
ADMIN_BLUEPRINT = "organization"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    app.before_request(_require_key)


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
    _refuse_the_wrong_kind(token)
    if is_admin():
        g.actor = admin_keys.asking(token, request_id=request_id(), ip=request.remote_addr)
    else:
        g.principal = keys.authenticate(token)
        keys.demand(g.principal, keys.READ if request.method in _READING else keys.WRITE)


def _refuse_the_wrong_kind(token: str) -> None:
    """Whoever holds a good key learns that it is good for something else; others learn nothing."""
    if is_admin() and not token.startswith(admin_keys.PREFIX):
        keys.authenticate(token)
        raise PermissionDenied("This address takes admin keys only.", code="admin_key_required")
    if not is_admin() and token.startswith(admin_keys.PREFIX):
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

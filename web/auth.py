"""Who is asking: an API key in, a principal out."""

from flask import Flask, g, request

from tasks import keys
from tasks.errors import AuthenticationFailed
from tasks.keys import Principal

# Closed by default: a blueprint that is not named here needs a key.
PUBLIC_BLUEPRINTS = frozenset({"health", "docs", "swagger_ui"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    app.before_request(_require_key)


def principal() -> Principal:
    """Whose request is being served."""
    value: Principal = g.principal
    return value


def is_public() -> bool:
    """Whether this request needs no key; an address that does not exist needs none to be told so."""
    return request.endpoint is None or request.blueprint in PUBLIC_BLUEPRINTS


def _require_key() -> None:
    if not is_public():
        g.principal = keys.authenticate(_bearer_token())
        keys.demand(g.principal, keys.READ if request.method in _READING else keys.WRITE)


def _bearer_token() -> str:
    header = request.headers.get("Authorization")
    if header is None:
        raise AuthenticationFailed("No API key given: send it in the header `Authorization: Bearer KEY`.")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed("The header must read `Authorization: Bearer KEY`.")
    return token.strip()

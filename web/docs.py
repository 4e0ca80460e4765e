"""`/openapi.json`, and `/docs` to browse it: every file comes from this server."""

from functools import cache

from flask import Blueprint, Flask, Response, current_app, json
from flask_swagger_ui import get_swaggerui_blueprint

from web.auth import PUBLIC_BLUEPRINTS
from web.openapi import document

_UI_NAME = "swagger_ui"
# The page starts itself with an inline script and styles itself inline; nothing may come from elsewhere.
_UI_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: Flask) -> None:
    blueprint = Blueprint("docs", __name__)
    blueprint.add_url_rule("/openapi.json", "openapi", _openapi)
    app.register_blueprint(blueprint)
    interface = get_swaggerui_blueprint(
        "/docs",
        "/openapi.json",
        config={
            "app_name": "Tokenmill API",
            # Left alone, the interface asks a public server to validate the document and shows its badge.
            "validatorUrl": None,
            # Left alone, it is built from the request's Host header and written into the page.
            "oauth2RedirectUrl": "/docs/oauth2-redirect.html",
            "persistAuthorization": True,
        },
        blueprint_name=_UI_NAME,
    )
    interface.after_request(_relax_policy)
    app.register_blueprint(interface)


def _openapi() -> Response:
    return Response(_document_text(), mimetype="application/json")


@cache
def _document_text() -> str:
    return json.dumps(document(current_app, PUBLIC_BLUEPRINTS), indent=2)


def _relax_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _UI_POLICY
    return response

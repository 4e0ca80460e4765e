"""What OpenAI's admin API has beyond this platform: told so, rather than that nothing is there."""

from flask import Blueprint

from tasks.errors import NotSupportedHere
from web.openapi import Operation, documented

blueprint = Blueprint("unsupported", __name__)


@documented(
    Operation(
        tag="Admin",
        summary="Say that a part of the admin API has no meaning here",
        description="Certificates, groups, roles of one's own, external keys and storage, data retention, "
        "identity providers and the like: `404` with the code `not_supported_here`.",
        replies={},
        refusals=(404,),
    )
)
def refuse(path: str) -> None:
    raise NotSupportedHere(f"/v1/organization/{path} has no meaning on this platform.")


for method in ("GET", "POST", "DELETE"):
    blueprint.add_url_rule("/<path:path>", method.lower(), refuse, methods=[method])

"""What every operation may answer with beside what it is for."""

from typing import Any

from web.error_body import ErrorBody
from web.openapi_schemas import REF_TEMPLATE

REFUSALS = {
    400: "The request is not valid; `error.param` names the first wrong field, `error.details` all of them.",
    401: "The API key, token or signature is missing or not valid.",
    403: "The API key is not good for this: for want of a scope, for this model, or from this address.",
    404: "No such object, or none of this project's.",
    408: "The request did not arrive in time.",
    409: "The request contradicts what has already happened. Sending it again does not help.",
    413: "The body, or a file in it, is too large.",
    414: "The address with its query is too long.",
    415: "The body is not of the type described here.",
    416: "The file has no such range.",
    431: "The headers are too many or too long.",
    429: "Too many requests, or the project's budget does not cover this one.",
    500: "Something went wrong on our side; `error.message` has the request's id.",
    503: "The platform can't answer now; nothing was changed. Try again after `Retry-After`.",
    504: "The job has not ended in time. It goes on, and stays readable at `/v1/jobs/{id}`.",
}
ALWAYS = (408, 414, 431, 500)
WITH_A_KEY = (401, 403, 429)

_WHERE_IT_STANDS = {"limit": "The amount", "remaining": "What is left", "reset": "The time to the end"}
HEADERS = {
    "Accept-Ranges": "`bytes`: ranges can be asked for.",
    "Content-Range": "Which bytes these are, and of how many.",
    "Location": "Where the job can be read.",
    "Idempotent-Replayed": "`true`: nothing new was created.",
    "ETag": "Changes whenever what it was sent with does.",
    "Retry-After": "Seconds after which asking again is worth it.",
    **{
        f"x-ratelimit-{what}-{unit}": f"{text} of the limit on {unit} that is met first."
        for unit in ("requests", "tokens")
        for what, text in _WHERE_IT_STANDS.items()
    },
    "x-request-id": "Names this request, for questions about it.",
    "x-tokenmill-job-id": "The job behind the answer.",
    "x-should-retry": "`false`: sending the request again does not help.",
}
_LIMITS = tuple(name for name in HEADERS if name.startswith("x-ratelimit-"))
_HEADERS_OF = {
    409: ("x-should-retry",),
    429: ("Retry-After", "x-should-retry", *_LIMITS),
    503: ("Retry-After",),
} | {504: ("x-tokenmill-job-id", "x-should-retry")}


def refusals() -> dict[str, Any]:
    """The answers that operations refer to by status."""
    body = {"application/json": {"schema": {"$ref": REF_TEMPLATE.format(model=ErrorBody.__name__)}}}
    return {
        str(status): {
            "description": description,
            "headers": headers(_HEADERS_OF.get(status, ())),
            "content": body,
        }
        for status, description in REFUSALS.items()
    }


def headers(names: tuple[str, ...]) -> dict[str, Any]:
    """Headers of an answer, with those that every answer has."""
    return {
        name: {"description": HEADERS[name], "schema": {"type": "string"}}
        for name in ("x-request-id", *names)
    }

"""`/healthz` and `/readyz`: for probes and load balancers, without a key."""

from flask import Blueprint, Response
from pydantic import BaseModel, Field

from tasks import readiness
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("health", __name__)


class HealthBody(BaseModel):
    """The process answers."""

    status: str = "ok"


class CheckBody(BaseModel):
    """One thing the platform needs."""

    ok: bool
    detail: str | None


class ReadinessBody(BaseModel):
    """Whether jobs would run now, and if not, for want of what."""

    ready: bool
    not_ready: list[str] = Field(description="The names of the checks that failed.")
    checks: dict[str, CheckBody]


@blueprint.get("/healthz")
@documented(
    Operation(tag="Health", summary="Is the process alive?", replies={200: Reply("It is.", HealthBody)})
)
def healthz() -> Response:
    return Response(HealthBody().model_dump_json(), mimetype="application/json")


@blueprint.get("/readyz")
@documented(
    Operation(
        tag="Health",
        summary="Would a job run now?",
        description="Checks the database, the broker, and that each model has a live worker.",
        replies={
            200: Reply("Everything is there.", ReadinessBody),
            503: Reply("Something is missing.", ReadinessBody, headers=("Retry-After",)),
        },
    )
)
def readyz() -> Response:
    found = readiness.readiness()
    body = ReadinessBody(
        ready=found.ready,
        not_ready=[name for name, check in found.checks.items() if not check.ok],
        checks={name: CheckBody(ok=check.ok, detail=check.detail) for name, check in found.checks.items()},
    )
    response = Response(body.model_dump_json(), 200 if found.ready else 503, mimetype="application/json")
    if not found.ready:
        response.headers["Retry-After"] = "2"
    return response

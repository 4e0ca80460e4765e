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
    required: bool = Field(description="Whether the platform is not ready without it.")


class ReadinessBody(BaseModel):
    """Whether jobs would run now, and if not, for want of what."""

    ready: bool
    not_ready: list[str] = Field(description="The checks that failed and are required.")
    degraded: list[str] = Field(description="The checks that failed and are not: work goes on without them.")
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
        description="Checks that the database takes writes and has this version's schema, that the broker "
        "takes messages, and that each model has a live worker; beside them what work goes on without: "
        "Redis, the storage of files, a scheduler, room on the disk, and whatever failed again and again.",
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
        not_ready=[name for name, check in found.checks.items() if check.required and not check.ok],
        degraded=[name for name, check in found.checks.items() if not (check.required or check.ok)],
        checks={
            name: CheckBody(ok=check.ok, detail=check.detail, required=check.required)
            for name, check in found.checks.items()
        },
    )
    response = Response(body.model_dump_json(), 200 if found.ready else 503, mimetype="application/json")
    if not found.ready:
        response.headers["Retry-After"] = "2"
    return response

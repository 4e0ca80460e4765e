"""`/v1/organization/audit_logs`: what was done, and by whom."""

from flask import Blueprint, Response

from tasks import audit
from tasks.wire.organization.audit_logs import AuditListBody, audit_list_body
from web import auth, queries
from web.admin_queries import AuditQuery
from web.api.organization.answers import body
from web.openapi import Operation, Reply, documented

blueprint = Blueprint("audit_logs", __name__, url_prefix="/audit_logs")


@blueprint.get("")
@documented(
    Operation(
        tag="Admin",
        summary="List the audit log",
        description="Newest first. It can't be changed, also not in the database.",
        query=AuditQuery,
        replies={200: Reply("A page of the log.", AuditListBody)},
        refusals=(400, 503),
    )
)
def index() -> Response:
    wanted = queries.read(AuditQuery)
    return body(audit_list_body(audit.list_entries(auth.actor(), wanted.audit_filter(), wanted.page())))

"""`/v1/organization`: the admin API. Whatever is registered under this blueprint takes admin keys only."""

from flask import Blueprint

from web.api.organization import (
    admin_keys,
    api_keys,
    audit_logs,
    invites,
    project_users,
    projects,
    rate_limits,
    service_accounts,
    spend,
    unsupported,
    usage,
    users,
)
from web.auth import ADMIN_BLUEPRINT

blueprint = Blueprint(ADMIN_BLUEPRINT, __name__, url_prefix="/v1/organization")
for part in (
    projects,
    project_users,
    service_accounts,
    api_keys,
    rate_limits,
    users,
    invites,
    admin_keys,
    audit_logs,
    usage,
    spend,
    unsupported,
):
    blueprint.register_blueprint(part.blueprint)

"""The audit log in the admin API: what an event says stands under the event's name."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.audit import AuditRecord
from tasks.pages import Page
from tasks.wire.organization.fields import unix_seconds
from tasks.wire.organization.pages import ListBody, list_values


class AuditUserBody(BaseModel):
    """The person who acted."""

    id: str | None
    email: str | None


class AuditKeyBody(BaseModel):
    """The admin key that acted."""

    id: str | None
    type: Literal["user"] = "user"
    user: AuditUserBody


class AuditSessionBody(BaseModel):
    """Where a person acted who needed no key."""

    ip_address: str | None
    user: AuditUserBody


class AuditActorBody(BaseModel):
    """Who acted."""

    type: Literal["api_key", "session"]
    tokenmill_kind: Literal["admin_key", "user", "cli"] = Field(
        description="`cli` is the operator at the command line."
    )
    api_key: AuditKeyBody | None = None
    session: AuditSessionBody | None = None


class AuditProjectBody(BaseModel):
    """The project in which it was done."""

    id: str
    name: str | None


class AuditEntryBody(BaseModel):
    """Something that was done."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    effective_at: int
    actor: AuditActorBody
    project: AuditProjectBody | None
    request_id: str | None
    ip_address: str | None


class AuditListBody(ListBody[AuditEntryBody]):
    """A page of the audit log."""


def audit_entry_body(entry: AuditRecord) -> AuditEntryBody:
    project = entry.project_id and AuditProjectBody(id=entry.project_id, name=entry.project_name)
    values: dict[str, Any] = {
        "id": entry.id,
        "type": entry.action,
        "effective_at": unix_seconds(entry.created_at),
        "actor": _actor(entry),
        "project": project,
        "request_id": entry.request_id,
        "ip_address": entry.ip,
        entry.action: entry.details,
    }
    return AuditEntryBody.model_validate(values)


def audit_list_body(page: Page[AuditRecord]) -> AuditListBody:
    return AuditListBody(**list_values(page, audit_entry_body))


def _actor(entry: AuditRecord) -> dict[str, Any]:
    user = AuditUserBody(id=entry.actor_user_id, email=entry.actor_email)
    if entry.actor_kind == "admin_key":
        key = AuditKeyBody(id=entry.actor_id, user=user)
        return {"type": "api_key", "tokenmill_kind": entry.actor_kind, "api_key": key}
    session = AuditSessionBody(ip_address=entry.ip, user=user)
    return {"type": "session", "tokenmill_kind": entry.actor_kind, "session": session}

"""The audit log: written in the transaction that acts, so an action and its entry are one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, or_, select

from tasks.actor import Actor
from tasks.db import transaction
from tasks.ids import new_id
from tasks.models import AuditEntry, Project, User
from tasks.pages import Page, PageFilter, read_page


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry, with the names that belong to its ids."""

    id: str
    project_id: str | None
    project_name: str | None
    actor_kind: str
    actor_id: str | None
    actor_user_id: str | None
    actor_email: str | None
    action: str
    details: dict[str, Any]
    request_id: str | None
    ip: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries. An empty list asks for nothing; ``moments`` are Unix seconds by gt, gte, lt or lte."""

    actor_ids: Sequence[str] = ()
    actor_emails: Sequence[str] = ()
    actions: Sequence[str] = ()
    project_ids: Sequence[str] = ()
    object_ids: Sequence[str] = ()
    moments: Mapping[str, int] = field(default_factory=dict)
    tenant_only: bool = False


def record(
    connection: Connection,
    actor: Actor,
    action: str,
    object_id: str,
    *,
    project_id: str | None = None,
    **details: Any,
) -> None:
    """Note an action inside the transaction that takes it; ``details`` is what it says beside the id."""
    connection.execute(
        insert(AuditEntry).values(
            id=new_id("audit_log"),
            organization_id=actor.organization,
            project_id=project_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_user_id=actor.user_id,
            action=action,
            object_id=object_id,
            details={"id": object_id, **details},
            request_id=actor.request_id,
            ip=actor.ip,
        )
    )


def list_entries(actor: Actor, wanted: AuditFilter, page: PageFilter) -> Page[AuditRecord]:
    """A page of the organization's log."""
    query = _entries().where(AuditEntry.organization_id == actor.organization, *_conditions(wanted))
    with transaction() as connection:
        return read_page(connection, query, AuditEntry.id, page, AuditRecord)


def _entries() -> Select[*tuple[Any, ...]]:
    """The log, as :class:`AuditRecord` has it."""
    return (
        select(
            AuditEntry.id,
            AuditEntry.project_id,
            Project.name.label("project_name"),
            AuditEntry.actor_kind,
            AuditEntry.actor_id,
            AuditEntry.actor_user_id,
            User.email.label("actor_email"),
            AuditEntry.action,
            AuditEntry.details,
            AuditEntry.request_id,
            AuditEntry.ip,
            AuditEntry.created_at,
        )
        .outerjoin(Project, Project.id == AuditEntry.project_id)
        .outerjoin(User, User.id == AuditEntry.actor_user_id)
    )


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor_ids:
        by = wanted.actor_ids
        conditions.append(or_(AuditEntry.actor_id.in_(by), AuditEntry.actor_user_id.in_(by)))
    if wanted.actor_emails:
        conditions.append(func.lower(User.email).in_([email.lower() for email in wanted.actor_emails]))
    for column, values in (
        (AuditEntry.action, wanted.actions),
        (AuditEntry.project_id, wanted.project_ids),
        (AuditEntry.object_id, wanted.object_ids),
    ):
        if values:
            conditions.append(column.in_(values))
    if wanted.tenant_only:
        conditions.append(AuditEntry.action.startswith("tenant.", autoescape=True))
    # Whole seconds, as the entries show them.
    second = func.floor(func.extract("epoch", AuditEntry.created_at))
    bounds = {"gt": second.__gt__, "gte": second.__ge__, "lt": second.__lt__, "lte": second.__le__}
    conditions += [bounds[bound](moment) for bound, moment in wanted.moments.items()]
    return conditions

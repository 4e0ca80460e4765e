"""Invitations: how people come into an organization."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from tasks import audit, memberships, users
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import InviteNotFound, ProjectArchived, ProjectNotFound, UserAlreadyThere, UserNotFound
from tasks.ids import new_id
from tasks.models import Invite
from tasks.pages import Page, PageFilter, read_page
from tasks.projects import live_project
from tasks.roles import Role
from tasks.users import UserRecord

_OPEN_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ProjectInvite:
    """What an invitation says of one project."""

    id: str
    role: Role


@dataclass(frozen=True, slots=True)
class InviteRecord:
    """An invitation; ``status`` is pending, accepted or expired."""

    id: str
    email: str
    role: str
    projects: list[dict[str, Any]]
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    status: str


_IS_PENDING = Invite.accepted_at.is_(None) & (Invite.expires_at > func.now())
_STATUS = case((Invite.accepted_at.is_not(None), "accepted"), (_IS_PENDING, "pending"), else_="expired")
_COLUMNS = (
    Invite.id,
    Invite.email,
    Invite.role,
    Invite.projects,
    Invite.created_at,
    Invite.expires_at,
    Invite.accepted_at,
    _STATUS.label("status"),
)


def invite(actor: Actor, email: str, role: Role, projects: Sequence[ProjectInvite] = ()) -> InviteRecord:
    """Whoever has this address may come in for a week.

    Raises PermissionDenied, ProjectNotFound, ProjectArchived, UserAlreadyThere.
    """
    actor.demand_over(role)
    with transaction() as connection:
        for project in projects:
            live_project(connection, actor, project.id)
        _demand_stranger(connection, actor, email)
        _forget_expired(connection, actor, email)
        invite_id = _insert(connection, actor, email, role, projects)
        data = {"email": email, "role": role.value}
        audit.record(connection, actor, "invite.sent", invite_id, data=data)
        return _read(connection, actor, invite_id)


def get_invite(actor: Actor, invite_id: str) -> InviteRecord:
    """Raises InviteNotFound."""
    with transaction() as connection:
        return _read(connection, actor, invite_id)


def list_invites(actor: Actor, page: PageFilter) -> Page[InviteRecord]:
    """A page of the organization's invitations, whatever became of them."""
    with transaction() as connection:
        return read_page(connection, select(*_COLUMNS).where(*_there(actor)), Invite.id, page, InviteRecord)


def delete_invite(actor: Actor, invite_id: str) -> None:
    """Nobody comes in by it any more. Raises InviteNotFound, also for one that was accepted."""
    statement = update(Invite).where(*_there(actor), Invite.id == invite_id, Invite.accepted_at.is_(None))
    with transaction() as connection:
        if connection.execute(statement.values(deleted_at=func.now())).rowcount == 0:
            raise InviteNotFound(f"There is no open invite {invite_id!r}.", param="invite_id")
        audit.record(connection, actor, "invite.deleted", invite_id)


def accept(actor: Actor, email: str, name: str) -> UserRecord:
    """Whoever is known to have this address comes in, to the organization and the projects named.

    The one who calls this knows it: an operator, or a sign-in that proves the address.

    Raises InviteNotFound, UserAlreadyThere.
    """
    statement = (
        update(Invite)
        .where(*_there(actor), func.lower(Invite.email) == email.lower(), _IS_PENDING)
        .values(accepted_at=func.now())
        .returning(Invite.id, Invite.email, Invite.role, Invite.projects)
    )
    with transaction() as connection:
        row = connection.execute(statement).first()
        if row is None:
            raise InviteNotFound(f"There is no open invite for {email}.", param="email")
        user = users.add_user(connection, actor, row.email, name, Role(row.role))
        for project in row.projects:
            _join(connection, actor, project, user)
        audit.record(connection, actor, "invite.accepted", row.id)
        return user


def _join(connection: Connection, actor: Actor, project: dict[str, Any], user: UserRecord) -> None:
    """What was archived meanwhile keeps nobody from coming in."""
    try:
        live_project(connection, actor, project["id"])
    except (ProjectArchived, ProjectNotFound):
        return
    memberships.join(connection, actor, project["id"], user.id, Role(project["role"]))


def _there(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    return Invite.organization_id == actor.organization, Invite.deleted_at.is_(None)


def _demand_stranger(connection: Connection, actor: Actor, email: str) -> None:
    try:
        users.find_user(connection, actor, email)
    except UserNotFound:
        return
    raise UserAlreadyThere(f"{email} belongs to the organization already.", param="email")


def _forget_expired(connection: Connection, actor: Actor, email: str) -> None:
    """So that whoever came too late can be invited again."""
    expired = func.lower(Invite.email) == email.lower(), Invite.expires_at <= func.now()
    statement = update(Invite).where(*_there(actor), Invite.accepted_at.is_(None), *expired)
    connection.execute(statement.values(deleted_at=func.now()))


def _insert(
    connection: Connection, actor: Actor, email: str, role: Role, projects: Sequence[ProjectInvite]
) -> str:
    invite_id = new_id("invite")
    values = {
        "id": invite_id,
        "organization_id": actor.organization,
        "email": email,
        "role": role.value,
        "projects": [{"id": project.id, "role": project.role.value} for project in projects],
        "expires_at": func.now() + _OPEN_FOR,
    }
    if connection.execute(insert(Invite).values(values).on_conflict_do_nothing()).rowcount == 0:
        raise UserAlreadyThere(f"{email} is invited already.", param="email", code="already_invited")
    return invite_id


def _read(connection: Connection, actor: Actor, invite_id: str) -> InviteRecord:
    row = connection.execute(select(*_COLUMNS).where(*_there(actor), Invite.id == invite_id)).first()
    if row is None:
        raise InviteNotFound(f"There is no invite {invite_id!r}.", param="invite_id")
    return InviteRecord(*row)

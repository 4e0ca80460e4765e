"""Who belongs to a project, and as what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from tasks import audit, users
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import UserAlreadyThere, UserNotFound
from tasks.models import Membership, User
from tasks.pages import Page, PageFilter, read_page
from tasks.projects import live_project, project_of
from tasks.roles import Role


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a project."""

    id: str
    email: str
    name: str
    role: str
    created_at: datetime


def add_member(
    actor: Actor, project_id: str, role: Role, *, user_id: str | None = None, email: str | None = None
) -> Member:
    """A user of the organization, by id or else by address, joins a project.

    Raises ProjectNotFound, ProjectArchived, UserNotFound, UserAlreadyThere.
    """
    with transaction() as connection:
        live_project(connection, actor, project_id)
        if user_id is not None:
            user = users.user_of(connection, actor, user_id)
        else:
            user = users.find_user(connection, actor, email or "")
        if not join(connection, actor, project_id, user.id, role):
            raise UserAlreadyThere(f"{user.email} belongs to the project already.", param="user_id")
        return _read(connection, project_id, user.id)


def join(connection: Connection, actor: Actor, project_id: str, user_id: str, role: Role) -> bool:
    """Inside the caller's transaction; False where the user was in the project already."""
    values = {"project_id": project_id, "user_id": user_id, "role": role.value}
    if connection.execute(insert(Membership).values(values).on_conflict_do_nothing()).rowcount == 0:
        return False
    data = {"role": role.value}
    audit.record(connection, actor, "user.added", user_id, project_id=project_id, data=data)
    return True


def get_member(actor: Actor, project_id: str, user_id: str) -> Member:
    """Raises ProjectNotFound, UserNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        return _read(connection, project_id, user_id)


def list_members(actor: Actor, project_id: str, page: PageFilter) -> Page[Member]:
    """Raises ProjectNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        return read_page(connection, _members(project_id), Membership.user_id, page, Member)


def set_member_role(actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
    """The user's keys of this project are good for what the new role may do, within a second.

    Raises ProjectNotFound, ProjectArchived, UserNotFound.
    """
    change = {"role": role.value}
    with transaction() as connection:
        live_project(connection, actor, project_id)
        if connection.execute(update(Membership).where(*_named(project_id, user_id)).values(change)).rowcount:
            audit.record(
                connection, actor, "user.updated", user_id, project_id=project_id, changes_requested=change
            )
        return _read(connection, project_id, user_id)


def remove_member(actor: Actor, project_id: str, user_id: str) -> None:
    """The user's keys of this project stop within a second. Raises ProjectNotFound, UserNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        if connection.execute(delete(Membership).where(*_named(project_id, user_id))).rowcount == 0:
            raise _not_found(user_id)
        audit.record(connection, actor, "user.deleted", user_id, project_id=project_id)


def _members(project_id: str) -> Select[*tuple[Any, ...]]:
    """As :class:`Member` has them."""
    columns = (User.id, User.email, User.name, Membership.role, Membership.created_at)
    return (
        select(*columns).join(User, User.id == Membership.user_id).where(Membership.project_id == project_id)
    )


def _named(project_id: str, user_id: str) -> tuple[Any, ...]:
    return Membership.project_id == project_id, Membership.user_id == user_id


def _read(connection: Connection, project_id: str, user_id: str) -> Member:
    row = connection.execute(_members(project_id).where(Membership.user_id == user_id)).first()
    if row is None:
        raise _not_found(user_id)
    return Member(*row)


def _not_found(user_id: str) -> UserNotFound:
    return UserNotFound(f"There is no user {user_id!r} in this project.", param="user_id")

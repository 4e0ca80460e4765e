"""The people of an organization: found, given roles, sent away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from tasks import audit
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import UserAlreadyThere, UserNotFound
from tasks.ids import new_id
from tasks.models import Membership, User
from tasks.pages import Page, PageFilter, read_page
from tasks.roles import Role


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user as the organization sees it."""

    id: str
    email: str
    name: str
    role: str
    created_at: datetime


_COLUMNS = (User.id, User.email, User.name, User.role, User.created_at)


def add_user(connection: Connection, actor: Actor, email: str, name: str, role: Role) -> UserRecord:
    """A new user, inside the caller's transaction. Raises UserAlreadyThere."""
    values = {"id": new_id("user"), "organization_id": actor.organization}
    values |= {"email": email, "name": name, "role": role.value}
    statement = insert_or_not(User).values(values).on_conflict_do_nothing().returning(*_COLUMNS)
    row = connection.execute(statement).first()
    if row is None:
        raise UserAlreadyThere(f"{email} belongs to the organization already.", param="email")
    audit.record(connection, actor, "user.added", row.id, data={"role": role.value})
    return UserRecord(*row)


def create_user(actor: Actor, email: str, name: str, role: Role) -> UserRecord:
    """A new user. Raises UserAlreadyThere, PermissionDenied."""
    actor.demand_over(role)
    with transaction() as connection:
        return add_user(connection, actor, email, name, role)


def get_user(actor: Actor, user_id: str) -> UserRecord:
    """Raises UserNotFound."""
    with transaction() as connection:
        return user_of(connection, actor, user_id)


def list_users(actor: Actor, page: PageFilter, emails: Sequence[str] = ()) -> Page[UserRecord]:
    """A page of the organization's users; ``emails`` asks for those alone."""
    query = select(*_COLUMNS).where(*_there(actor))
    if emails:
        query = query.where(func.lower(User.email).in_([email.lower() for email in emails]))
    with transaction() as connection:
        return read_page(connection, query, User.id, page, UserRecord)


def set_role(actor: Actor, user_id: str, role: Role) -> UserRecord:
    """Another role in the organization. Raises UserNotFound, PermissionDenied."""
    with transaction() as connection:
        user = user_of(connection, actor, user_id)
        actor.demand_over(Role(user.role))
        actor.demand_over(role)
        connection.execute(update(User).where(User.id == user_id).values(role=role.value))
        audit.record(connection, actor, "user.updated", user_id, changes_requested={"role": role.value})
        return user_of(connection, actor, user_id)


def delete_user(actor: Actor, user_id: str) -> None:
    """The user leaves the organization and its projects, and its keys stop within a second.

    Raises UserNotFound, PermissionDenied.
    """
    with transaction() as connection:
        actor.demand_over(Role(user_of(connection, actor, user_id).role))
        connection.execute(delete(Membership).where(Membership.user_id == user_id))
        connection.execute(update(User).where(User.id == user_id).values(deleted_at=func.now()))
        audit.record(connection, actor, "user.deleted", user_id)


def user_of(connection: Connection, actor: Actor, user_id: str) -> UserRecord:
    """A user of the actor's organization, who stays so until the transaction ends. Raises UserNotFound."""
    query = select(*_COLUMNS).where(*_there(actor), User.id == user_id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise UserNotFound(f"There is no user {user_id!r}.", param="user_id")
    return UserRecord(*row)


def find_user(connection: Connection, actor: Actor, email: str) -> UserRecord:
    """The user of this address, however it is written. Raises UserNotFound."""
    query = select(*_COLUMNS).where(*_there(actor), func.lower(User.email) == email.lower())
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise UserNotFound(f"There is no user {email!r}; invite them first.", param="email")
    return UserRecord(*row)


def _there(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    return User.organization_id == actor.organization, User.deleted_at.is_(None)

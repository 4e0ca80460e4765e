"""The keys of a project as the admin plane sees them: with their owners."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from tasks import audit
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import InvalidRequest, KeyNotFound
from tasks.ids import new_id
from tasks.key_owners import owner_has_access, owner_role
from tasks.key_secret import PROJECT_KEY, new_secret
from tasks.models import ApiKey, Membership, ServiceAccount, User
from tasks.pages import Page, PageFilter, read_page
from tasks.projects import live_project, project_of
from tasks.roles import Role, exceeding
from tasks.scopes import EVERYTHING, READ, SCOPES
from tasks.users import find_user

Access = Literal["active", "inactive", "any"]

# The admin API's own names.
_ALIASES = {"api.all": EVERYTHING, "api.all.read": (READ,)}


@dataclass(frozen=True, slots=True)
class NewProjectKey:
    """A new key; ``secret`` is shown this once and can't be recovered."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProjectKeyRecord:
    """A key and whose it is. ``usable``: its owner has access to the project."""

    id: str
    name: str
    prefix: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    usable: bool
    role: str | None
    user_id: str | None
    user_name: str | None
    user_email: str | None
    user_created_at: datetime | None
    service_account_id: str | None
    service_account_name: str | None
    service_account_created_at: datetime | None


def create_user_key(
    actor: Actor, project_id: str, email: str, name: str, scopes: list[str] | None
) -> NewProjectKey:
    """A key of a member's own. Raises ProjectNotFound, ProjectArchived, UserNotFound, InvalidRequest."""
    with transaction() as connection:
        live_project(connection, actor, project_id)
        user = find_user(connection, actor, email)
        role = connection.execute(_role_of_member(project_id, user.id)).scalar()
        asked = check_scopes(None if role is None else Role(role), scopes)
        return add_project_key(connection, actor, project_id, name, asked, user_id=user.id)


def add_project_key(
    connection: Connection,
    actor: Actor,
    project_id: str,
    name: str,
    scopes: list[str],
    *,
    user_id: str | None = None,
    service_account_id: str | None = None,
    expires_in_seconds: int | None = None,
) -> NewProjectKey:
    """A key with an owner, inside the caller's transaction, which has checked all that is to be."""
    secret = new_secret(PROJECT_KEY)
    key_id = new_id("key")
    lifetime = None if expires_in_seconds is None else func.now() + timedelta(seconds=expires_in_seconds)
    values = {
        "id": key_id,
        "project_id": project_id,
        "user_id": user_id,
        "service_account_id": service_account_id,
        "name": name,
        "prefix": secret.prefix,
        "secret_sha256": secret.sha256,
        "scopes": scopes,
        "expires_at": lifetime,
    }
    row = connection.execute(
        insert(ApiKey).values(values).returning(ApiKey.created_at, ApiKey.expires_at)
    ).one()
    audit.record(connection, actor, "api_key.created", key_id, project_id=project_id, data={"scopes": scopes})
    return NewProjectKey(key_id, name, row.created_at, row.expires_at, secret.text)


def check_scopes(role: Role | None, scopes: list[str] | None) -> list[str]:
    """What is kept as a new key's scopes; none asked for is no restriction but the owner's role.

    Raises InvalidRequest: for scopes that do not exist, or that the owner may not have.
    """
    if role is None:
        raise InvalidRequest("The key's owner has no role in this project; give them one first.")
    asked = {name for scope in scopes or () for name in _ALIASES.get(scope, (scope,))}
    unknown = sorted(asked - set(SCOPES))
    if unknown:
        raise InvalidRequest(f"There is no scope {unknown[0]!r}.", param="scopes")
    above = exceeding(role, asked)
    if above:
        message = f"The scope {above[0]!r} is more than the key's owner may do, who is {role}."
        raise InvalidRequest(message, param="scopes", code="scope_exceeds_role")
    return sorted(asked or EVERYTHING)


def get_project_key(actor: Actor, project_id: str, key_id: str) -> ProjectKeyRecord:
    """Raises ProjectNotFound, KeyNotFound, also for a revoked key."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        row = connection.execute(_keys(project_id).where(ApiKey.id == key_id)).first()
    if row is None:
        raise _not_found(key_id)
    return ProjectKeyRecord(*row)


def list_project_keys(
    actor: Actor, project_id: str, page: PageFilter, access: Access = "any"
) -> Page[ProjectKeyRecord]:
    """Those that are not revoked, by what their owners may do. Raises ProjectNotFound."""
    query = _keys(project_id)
    if access != "any":
        query = query.where(owner_has_access() if access == "active" else ~owner_has_access())
    with transaction() as connection:
        project_of(connection, actor, project_id)
        return read_page(connection, query, ApiKey.id, page, ProjectKeyRecord)


def delete_project_key(actor: Actor, project_id: str, key_id: str) -> None:
    """The key stops working within a second, on every process. Raises ProjectNotFound, KeyNotFound."""
    statement = update(ApiKey).where(*_there(project_id), ApiKey.id == key_id).values(revoked_at=func.now())
    with transaction() as connection:
        project_of(connection, actor, project_id)
        if connection.execute(statement).rowcount == 0:
            raise _not_found(key_id)
        audit.record(connection, actor, "api_key.deleted", key_id, project_id=project_id)


def _there(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None)


def _keys(project_id: str) -> Select[*tuple[Any, ...]]:
    """As :class:`ProjectKeyRecord` has them."""
    return (
        select(
            ApiKey.id,
            ApiKey.name,
            ApiKey.prefix,
            ApiKey.scopes,
            ApiKey.created_at,
            ApiKey.expires_at,
            ApiKey.last_used_at,
            owner_has_access().label("usable"),
            owner_role().label("role"),
            ApiKey.user_id,
            User.name.label("user_name"),
            User.email.label("user_email"),
            User.created_at.label("user_created_at"),
            ApiKey.service_account_id,
            ServiceAccount.name.label("service_account_name"),
            ServiceAccount.created_at.label("service_account_created_at"),
        )
        .outerjoin(User, User.id == ApiKey.user_id)
        .outerjoin(ServiceAccount, ServiceAccount.id == ApiKey.service_account_id)
        .where(*_there(project_id))
    )


def _role_of_member(project_id: str, user_id: str) -> Select[*tuple[Any, ...]]:
    return select(Membership.role).where(Membership.project_id == project_id, Membership.user_id == user_id)


def _not_found(key_id: str) -> KeyNotFound:
    return KeyNotFound(f"There is no API key {key_id!r} in this project.", param="api_key_id")

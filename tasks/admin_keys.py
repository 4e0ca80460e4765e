"""Keys of the admin plane: made once, kept as a hash, good for nothing but `/v1/organization`."""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from tasks import audit
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import AdminKeyNotFound, AuthenticationFailed, InvalidRequest
from tasks.ids import new_id
from tasks.key_secret import digest, new_secret, prefix_of
from tasks.models import AdminKey, User
from tasks.pages import Page, PageFilter, read_page
from tasks.roles import KEEPERS, Role
from tasks.users import find_user

PREFIX = "tm-admin-"
# A revoked key must stop working everywhere within a second.
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 1000
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AdminKeyRecord:
    """A key as the organization may see it."""

    id: str
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    user_id: str | None
    user_name: str | None
    user_role: str | None
    user_created_at: datetime | None


_COLUMNS = (
    AdminKey.id,
    AdminKey.name,
    AdminKey.prefix,
    AdminKey.created_at,
    AdminKey.expires_at,
    AdminKey.last_used_at,
    AdminKey.user_id,
    User.name.label("user_name"),
    User.role.label("user_role"),
    User.created_at.label("user_created_at"),
)

_cache: dict[bytes, tuple[float, Actor]] = {}


def create_admin_key(
    actor: Actor, name: str, expires_in_seconds: int | None = None
) -> tuple[AdminKeyRecord, str]:
    """A key of the actor's own, and its secret, which is shown this once."""
    with transaction() as connection:
        return _insert(connection, actor, actor.user_id, name, expires_in_seconds)


def create_admin_key_for(
    actor: Actor, email: str, name: str, expires_in_seconds: int | None = None
) -> tuple[AdminKeyRecord, str]:
    """A key of a user's, who keeps the organization. Raises UserNotFound, InvalidRequest."""
    with transaction() as connection:
        user = find_user(connection, actor, email)
        if user.role not in KEEPERS:
            raise InvalidRequest(f"Only owners and admins have admin keys; {email} is {user.role}.")
        return _insert(connection, actor, user.id, name, expires_in_seconds)


def get_admin_key(actor: Actor, key_id: str) -> AdminKeyRecord:
    """Raises AdminKeyNotFound."""
    with transaction() as connection:
        return _read(connection, actor, key_id)


def list_admin_keys(actor: Actor, page: PageFilter) -> Page[AdminKeyRecord]:
    """Those that are not revoked; one that has expired is still there."""
    query = select(*_COLUMNS).outerjoin(User, User.id == AdminKey.user_id).where(*_there(actor))
    with transaction() as connection:
        return read_page(connection, query, AdminKey.id, page, AdminKeyRecord)


def revoke_admin_key(actor: Actor, key_id: str) -> None:
    """The key stops working within a second, on every process. Raises AdminKeyNotFound."""
    with transaction() as connection:
        key = _read(connection, actor, key_id)
        actor.demand_over(Role(key.user_role) if key.user_role else Role.OWNER)
        connection.execute(update(AdminKey).where(AdminKey.id == key_id).values(revoked_at=func.now()))
        audit.record(connection, actor, "tenant.admin_api_key.deleted", key_id)


def authenticate(token: str) -> Actor:
    """Who holds this key. Raises AuthenticationFailed, the same for every kind of wrong key."""
    sha256 = digest(token)
    cached = _cache.get(sha256)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    actor = _look_up(token, sha256)
    if len(_cache) >= _CACHE_SIZE:
        _cache.clear()
    _cache[sha256] = (monotonic() + _CACHE_SECONDS, actor)
    return actor


def asking(token: str, *, request_id: str, ip: str | None) -> Actor:
    """The same, as one request's. Raises AuthenticationFailed."""
    return replace(authenticate(token), request_id=request_id, ip=ip)


def _insert(
    connection: Connection, actor: Actor, user_id: str | None, name: str, expires_in_seconds: int | None
) -> tuple[AdminKeyRecord, str]:
    secret = new_secret(PREFIX)
    key_id = new_id("key")
    lifetime = None if expires_in_seconds is None else func.now() + timedelta(seconds=expires_in_seconds)
    values = {
        "id": key_id,
        "organization_id": actor.organization,
        "user_id": user_id,
        "name": name,
        "prefix": secret.prefix,
        "secret_sha256": secret.sha256,
        "expires_at": lifetime,
    }
    connection.execute(insert(AdminKey).values(values))
    audit.record(connection, actor, "tenant.admin_api_key.created", key_id, data={"name": name})
    return _read(connection, actor, key_id), secret.text


def _there(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    return AdminKey.organization_id == actor.organization, AdminKey.revoked_at.is_(None)


def _read(connection: Connection, actor: Actor, key_id: str) -> AdminKeyRecord:
    query = select(*_COLUMNS).outerjoin(User, User.id == AdminKey.user_id)
    row = connection.execute(query.where(*_there(actor), AdminKey.id == key_id)).mappings().first()
    if row is None:
        raise AdminKeyNotFound(f"There is no admin key {key_id!r}.", param="key_id")
    return AdminKeyRecord(**row)


def _look_up(token: str, sha256: bytes) -> Actor:
    query = (
        select(AdminKey.secret_sha256, AdminKey.organization_id, AdminKey.id, AdminKey.user_id, User.role)
        .outerjoin(User, User.id == AdminKey.user_id)
        .where(
            AdminKey.prefix == prefix_of(token, PREFIX),
            AdminKey.revoked_at.is_(None),
            or_(AdminKey.expires_at.is_(None), AdminKey.expires_at > func.now()),
            # Whoever no longer keeps the organization has lost its keys too.
            or_(AdminKey.user_id.is_(None), User.deleted_at.is_(None) & User.role.in_(KEEPERS)),
        )
    )
    with transaction(durable=False) as connection:
        row = connection.execute(query).first()
        known = row.secret_sha256 if row is not None else bytes(32)
        if not hmac.compare_digest(sha256, known) or row is None:
            raise AuthenticationFailed
        _note_use(connection, row.id)
    role = Role.OWNER if row.role is None else Role(row.role)
    return Actor(
        kind="admin_key",
        organization_id=row.organization_id,
        id=row.id,
        user_id=row.user_id,
        role=role,
    )


def _note_use(connection: Connection, key_id: str) -> None:
    noted_long_ago = or_(
        AdminKey.last_used_at.is_(None), AdminKey.last_used_at < func.now() - _USE_NOTED_EVERY
    )
    connection.execute(
        update(AdminKey).where(AdminKey.id == key_id, noted_long_ago).values(last_used_at=func.now())
    )

"""API keys: made once, kept as a hash, checked on every request."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from sqlalchemy import func, insert, select, update

from tasks import audit
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tasks.errors import AuthenticationFailed, KeyNotFound, PermissionDenied
from tasks.ids import new_id
from tasks.key_owners import limited, owner_has_access, owner_role
from tasks.models import ApiKey
from tasks.projects import live_project

# A revoked key must stop working everywhere within a second.
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 10_000
_PREFIX_LENGTH = 12

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and for what their key is good."""

    project_id: str
    api_key_id: str
    scopes: frozenset[str] = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key; ``secret`` is shown this once and can't be recovered."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as its owner may see it."""

    id: str
    project_id: str
    name: str
    prefix: str
    created_at: datetime
    revoked_at: datetime | None
    scopes: list[str]


_cache: dict[bytes, tuple[float, Principal]] = {}


def create_key(
    project_id: str, name: str, scopes: Sequence[str] = SCOPES, actor: Actor = OPERATOR
) -> CreatedKey:
    """A key with 256 random bits. Raises ProjectNotFound, ProjectArchived."""
    prefix = f"tm-{secrets.token_hex(_PREFIX_LENGTH // 2)}"
    secret = f"{prefix}-{secrets.token_urlsafe(32)}"
    key_id = new_id("key")
    with transaction() as connection:
        live_project(connection, actor, project_id)
        connection.execute(
            insert(ApiKey).values(
                id=key_id,
                project_id=project_id,
                name=name,
                prefix=prefix,
                secret_sha256=_digest(secret),
                scopes=sorted(set(scopes)),
            )
        )
        data = {"scopes": sorted(set(scopes))}
        audit.record(connection, actor, "api_key.created", key_id, project_id=project_id, data=data)
    return CreatedKey(key_id, secret)


def authenticate(token: str) -> Principal:
    """Who holds this key. Raises AuthenticationFailed, the same for every kind of wrong key."""
    digest = _digest(token)
    cached = _cache.get(digest)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    principal = _look_up(token, digest)
    if len(_cache) >= _CACHE_SIZE:
        _cache.clear()
    _cache[digest] = (monotonic() + _CACHE_SECONDS, principal)
    return principal


def demand(principal: Principal, scope: str) -> None:
    """Raises PermissionDenied where the key is not good for this."""
    if scope not in principal.scopes:
        raise PermissionDenied(f"This API key has no scope `{scope}`.")


def list_keys(project_id: str) -> list[KeyRecord]:
    """Every key of a project, revoked ones too, oldest first."""
    columns = [getattr(ApiKey, name) for name in KeyRecord.__slots__]
    query = select(*columns).where(ApiKey.project_id == project_id).order_by(ApiKey.id)
    with transaction() as connection:
        return [KeyRecord(*row) for row in connection.execute(query)]


def revoke_key(key_id: str, actor: Actor = OPERATOR) -> None:
    """The key stops working within a second, on every process. Raises KeyNotFound."""
    revoked_at = func.coalesce(ApiKey.revoked_at, func.now())
    statement = update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=revoked_at)
    with transaction() as connection:
        project_id = connection.execute(statement.returning(ApiKey.project_id)).scalar()
        if project_id is None:
            raise KeyNotFound
        audit.record(connection, actor, "api_key.deleted", key_id, project_id=project_id)


def _look_up(token: str, digest: bytes) -> Principal:
    prefix = token[: len("tm-") + _PREFIX_LENGTH]
    query = select(
        ApiKey.secret_sha256, ApiKey.project_id, ApiKey.id, ApiKey.scopes, owner_role().label("role")
    ).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None), owner_has_access())
    # Postgres refuses NUL in text, and a real prefix is ASCII.
    row = None
    if prefix.isascii() and prefix.isprintable():
        with transaction() as connection:
            row = connection.execute(query).first()
    known = row.secret_sha256 if row is not None else bytes(32)
    if not hmac.compare_digest(digest, known) or row is None:
        raise AuthenticationFailed
    return Principal(row.project_id, row.id, limited(row.scopes, row.role))


def _digest(secret: str) -> bytes:
    """SHA-256 is enough: the secret is random, so there is nothing to guess faster."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()

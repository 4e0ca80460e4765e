"""Bearers of tokens: each has a row among the keys, so that limits, budgets and bills know them too."""

from time import monotonic
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from tasks import identity_tokens, key_uses
from tasks.addresses import parse_networks
from tasks.db import transaction
from tasks.errors import PermissionDenied
from tasks.identity import Identity, identity_of
from tasks.ids import new_id
from tasks.key_secret import digest
from tasks.models import ApiKey, Project
from tasks.principal import Principal
from tasks.scopes import SCOPES_OF_ROLES

# As with keys: who is shut out is out within a second.
_CACHE_SECONDS = 1.0
_CACHE_SIZE = 10_000

_cache: dict[bytes, tuple[float, Principal]] = {}


def authenticate(token: str) -> Principal:
    """Who bears this token.

    Raises:
        AuthenticationFailed: the token is not valid.
        PermissionDenied: its bearer has no place here.
        IdentityProviderUnavailable: it can't be checked now.
    """
    token_sha256 = digest(token)
    cached = _cache.get(token_sha256)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    principal = _principal(identity_of(identity_tokens.verify(token)))
    if len(_cache) >= _CACHE_SIZE:
        _cache.clear()
    _cache[token_sha256] = (monotonic() + _CACHE_SECONDS, principal)
    return principal


def _principal(identity: Identity) -> Principal:
    with transaction() as connection:
        project_id = _project_id(connection, identity.project)
        row = _row(connection, project_id, identity) or _new_row(connection, project_id, identity)
    if row.revoked_at is not None:
        raise PermissionDenied("This identity has been shut out.", code="identity_revoked")
    if row.use_is_due:
        key_uses.note_soon(row.id)
    return Principal(
        project_id=project_id,
        api_key_id=row.id,
        scopes=SCOPES_OF_ROLES[identity.role],
        models=None if row.models is None else frozenset(row.models),
        networks=None if row.networks is None else parse_networks(row.networks, param="networks"),
        role=identity.role,
        user_id=identity.subject,
    )


def _project_id(connection: Connection, name_or_id: str) -> str:
    """The project of this id, or the only one of this name. Raises PermissionDenied."""
    live = select(Project.id).where(Project.archived_at.is_(None))
    by_id = live.where(Project.id == name_or_id)
    by_name = live.where(Project.name == name_or_id).limit(2)
    found = connection.execute(by_id).scalars().all() or connection.execute(by_name).scalars().all()
    if len(found) != 1:
        # Two projects of one name: whoever made the second must not get at the first, nor the other way.
        raise PermissionDenied("The token's project is none of this platform's.", code="no_project")
    return found[0]


def _row(connection: Connection, project_id: str, identity: Identity) -> Any:
    due = key_uses.is_due().label("use_is_due")
    query = select(ApiKey.id, ApiKey.revoked_at, ApiKey.models, ApiKey.networks, due).where(
        ApiKey.project_id == project_id,
        ApiKey.issuer == identity.issuer,
        ApiKey.subject == identity.subject,
    )
    return connection.execute(query).first()


def _new_row(connection: Connection, project_id: str, identity: Identity) -> Any:
    """A row without a secret: it can't be used as a key."""
    statement = insert(ApiKey).values(
        id=new_id("key"),
        project_id=project_id,
        name=identity.subject,
        issuer=identity.issuer,
        subject=identity.subject,
        scopes=sorted(SCOPES_OF_ROLES[identity.role]),
    )
    # Another process may be ahead of this one.
    connection.execute(statement.on_conflict_do_nothing())
    return _row(connection, project_id, identity)

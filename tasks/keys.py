"""API keys: made once, kept as a hash, changed and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select, update

from tasks import audit, identities, identity_tokens, known_keys
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tasks.errors import AuthenticationFailed, InvalidRequest, KeyNotFound
from tasks.ids import new_id
from tasks.key_secret import PROJECT_KEY, new_secret, secret_behind
from tasks.key_terms import KeyTerms, checked_name, kept_terms
from tasks.known_keys import PREFIX_LENGTH
from tasks.models import ApiKey
from tasks.principal import Principal, demand
from tasks.projects import live_project
from tasks.scopes import EVERYTHING, READ, WRITE, checked

__all__ = [
    "READ",
    "WRITE",
    "CreatedKey",
    "KeyRecord",
    "KeyTerms",
    "Principal",
    "authenticate",
    "create_key",
    "demand",
    "list_keys",
    "models_of",
    "revoke_key",
    "rotate_key",
]

DEFAULT_OVERLAP_SECONDS = 86_400
_LONGEST_OVERLAP_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key; ``secret`` is shown this once and can't be recovered."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as its owner may see it. One that stands for the bearer of tokens has a subject, no prefix."""

    id: str
    project_id: str
    name: str
    prefix: str | None
    created_at: datetime
    revoked_at: datetime | None
    scopes: list[str]
    models: list[str] | None
    networks: list[str] | None
    must_sign: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    previous_until: datetime | None
    issuer: str | None
    subject: str | None


_NO_TERMS = KeyTerms()


def create_key(
    project_id: str,
    name: str,
    scopes: Sequence[str] = EVERYTHING,
    terms: KeyTerms = _NO_TERMS,
    actor: Actor = OPERATOR,
) -> CreatedKey:
    """A key with 256 random bits.

    Raises ProjectNotFound, ProjectArchived, UnknownModelRequested, InvalidRequest.
    """
    key_id, secret = new_id("key"), new_secret(PROJECT_KEY)
    values = {
        "id": key_id,
        "project_id": project_id,
        "name": checked_name(name),
        "prefix": secret.prefix,
        "secret_sha256": secret.sha256,
        "scopes": checked(scopes),
        **kept_terms(terms),
    }
    with transaction() as connection:
        live_project(connection, actor, project_id)
        connection.execute(insert(ApiKey).values(**values))
        data = {"scopes": values["scopes"]}
        audit.record(connection, actor, "api_key.created", key_id, project_id=project_id, data=data)
    return CreatedKey(key_id, secret.text)


def authenticate(token: str) -> Principal:
    """Who holds this key or token; a key that must sign its requests is refused here.

    Raises:
        AuthenticationFailed: the same for every kind of wrong key.
        PermissionDenied: a token's bearer has no place here.
        IdentityProviderUnavailable: a token can't be checked now.
    """
    if identity_tokens.is_one(token):
        return identities.authenticate(token)
    known = known_keys.find(token[:PREFIX_LENGTH])
    if known is None or not known_keys.opens(token, known):
        raise AuthenticationFailed
    known_keys.refuse_expired(known)
    if known.must_sign:
        raise AuthenticationFailed("This API key must sign its requests.", code="signature_required")
    return known.principal


def list_keys(project_id: str) -> list[KeyRecord]:
    """Every key of a project, revoked ones too, oldest first."""
    columns = [getattr(ApiKey, name) for name in KeyRecord.__slots__]
    query = select(*columns).where(ApiKey.project_id == project_id).order_by(ApiKey.id)
    with transaction() as connection:
        return [KeyRecord(*row) for row in connection.execute(query)]


def models_of(key_id: str | None) -> frozenset[str] | None:
    """The models that a key may use, or None for all; for what runs later in its name."""
    with transaction() as connection:
        models = connection.execute(select(ApiKey.models).where(ApiKey.id == key_id)).scalar()
    return None if models is None else frozenset(models)


def revoke_key(key_id: str, actor: Actor = OPERATOR) -> None:
    """The key stops working within a second, on every process. Raises KeyNotFound."""
    revoked_at = func.coalesce(ApiKey.revoked_at, func.now())
    statement = update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=revoked_at)
    with transaction() as connection:
        project_id = connection.execute(statement.returning(ApiKey.project_id)).scalar()
        if project_id is None:
            raise KeyNotFound
        audit.record(connection, actor, "api_key.deleted", key_id, project_id=project_id)


def rotate_key(
    key_id: str, overlap_seconds: float = DEFAULT_OVERLAP_SECONDS, actor: Actor = OPERATOR
) -> CreatedKey:
    """A new secret for the same key; the one it had is good for as long as the overlap.

    A secret from before that one is good no more. Raises KeyNotFound, also for a revoked key, and
    InvalidRequest.
    """
    if not 0 <= overlap_seconds <= _LONGEST_OVERLAP_SECONDS:
        raise InvalidRequest(
            f"The overlap must be from 0 to {_LONGEST_OVERLAP_SECONDS} seconds.", param="overlap_seconds"
        )
    query = select(ApiKey.prefix, ApiKey.expires_at, ApiKey.project_id).where(
        ApiKey.id == key_id, ApiKey.revoked_at.is_(None), ApiKey.prefix.is_not(None)
    )
    with transaction() as connection:
        row = connection.execute(query.with_for_update()).first()
        if row is None or row.prefix is None:
            raise KeyNotFound
        if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
            raise InvalidRequest("The key has expired: create another one.", param="key_id")
        secret = secret_behind(row.prefix)
        connection.execute(
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(
                secret_sha256=secret.sha256,
                previous_secret_sha256=ApiKey.secret_sha256,
                previous_until=func.now() + timedelta(seconds=overlap_seconds),
            )
        )
        changes = {"rotated_with_overlap_seconds": overlap_seconds}
        audit.record(
            connection,
            actor,
            "api_key.updated",
            key_id,
            project_id=row.project_id,
            changes_requested=changes,
        )
    return CreatedKey(key_id, secret.text)

"""Keys as requests meet them: found by prefix, remembered for a moment, compared in constant time."""

import hmac
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import case, func, select

from tasks import key_uses
from tasks.addresses import parse_networks
from tasks.db import transaction
from tasks.errors import AuthenticationFailed
from tasks.key_owners import limited, owner_has_access, owner_role
from tasks.key_secret import PREFIX_DIGITS, PROJECT_KEY, digest, prefix_of
from tasks.models import ApiKey
from tasks.principal import Principal

# A revoked key must stop working everywhere within a second.
CACHE_SECONDS = 1.0
_CACHE_SIZE = 10_000
PREFIX_LENGTH = len(PROJECT_KEY) + PREFIX_DIGITS
# No secret has this digest.
_NOBODYS = (bytes(32),)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that is not revoked. While a rotation's overlap lasts it has two secrets."""

    principal: Principal
    secrets_sha256: tuple[bytes, ...] = field(repr=False)
    must_sign: bool
    expired: bool


_cache: dict[str, tuple[float, KnownKey]] = {}


def find(prefix: str) -> KnownKey | None:
    """The key with this prefix, as it was at most a second ago."""
    cached = _cache.get(prefix)
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    found = _look_up(prefix)
    if found is not None:
        if len(_cache) >= _CACHE_SIZE:
            _cache.clear()
        _cache[prefix] = (monotonic() + CACHE_SECONDS, found)
    return found


def opens(token: str, known: KnownKey | None) -> bool:
    """Whether a token is the whole of this key."""
    token_sha256 = digest(token)
    equal = [hmac.compare_digest(token_sha256, secret_sha256) for secret_sha256 in secrets_of(known)]
    return known is not None and any(equal)


def secrets_of(known: KnownKey | None) -> tuple[bytes, ...]:
    """What to compare with; also where there is no such key, so that it takes the same way."""
    return _NOBODYS if known is None else known.secrets_sha256


def refuse_expired(known: KnownKey) -> None:
    """Raises AuthenticationFailed. For who has shown that the key is theirs."""
    if known.expired:
        raise AuthenticationFailed("This API key has expired.", code="api_key_expired")


def _look_up(prefix: str) -> KnownKey | None:
    if prefix_of(prefix, PROJECT_KEY) is None:
        return None
    query = select(
        ApiKey.id,
        ApiKey.project_id,
        ApiKey.scopes,
        ApiKey.models,
        ApiKey.networks,
        ApiKey.must_sign,
        ApiKey.secret_sha256,
        case((ApiKey.previous_until > func.now(), ApiKey.previous_secret_sha256)).label("previous_sha256"),
        func.coalesce(ApiKey.expires_at <= func.now(), False).label("expired"),
        key_uses.is_due().label("use_is_due"),
        owner_role().label("role"),
    ).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None), owner_has_access())
    with transaction() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    if row.use_is_due:
        key_uses.note_soon(row.id)
    return _known(row)


def _known(row: Any) -> KnownKey:
    secrets = (row.secret_sha256, row.previous_sha256)
    return KnownKey(
        principal=Principal(
            project_id=row.project_id,
            api_key_id=row.id,
            scopes=limited(row.scopes, row.role),
            models=None if row.models is None else frozenset(row.models),
            networks=None if row.networks is None else parse_networks(row.networks, param="networks"),
        ),
        secrets_sha256=tuple(bytes(secret) for secret in secrets if secret is not None),
        must_sign=row.must_sign,
        expired=row.expired,
    )

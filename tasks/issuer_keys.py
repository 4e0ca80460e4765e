"""An issuer's public keys: fetched when they are needed, and kept while it can't be reached."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from tasks.circuit import circuit_of
from tasks.errors import AuthenticationFailed, IdentityProviderUnavailable
from tasks.secure_url import is_secure

_DISCOVERY = "/.well-known/openid-configuration"
_TIMEOUT_SECONDS = 3.0
_MOST_BYTES = 1024 * 1024
_FRESH_SECONDS = 3600.0
_RETRY_SECONDS = 2.0
_FEWEST_RSA_BITS = 2048

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key and the one algorithm that it is for, so that a token can't choose another."""

    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey


class IssuerKeys:
    """The keys of one issuer by their ids (`kid`)."""

    def __init__(self, issuer: str, url: str | None, refresh_seconds: float) -> None:
        self._issuer = issuer
        self._url = url
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str, IssuerKey] = {}
        self._away = False
        self._circuit = circuit_of(
            "issuer",
            issuer,
            first_seconds=min(_RETRY_SECONDS, refresh_seconds),
            most_seconds=refresh_seconds,
        )
        self._fresh_until = 0.0
        self._next_fetch = 0.0
        self._fetching = threading.Lock()

    def get(self, key_id: str) -> IssuerKey:
        """The key of this id; an unknown one is looked for again, though not often.

        Raises:
            AuthenticationFailed: the issuer publishes no such key.
            IdentityProviderUnavailable: whether it does can't be told now.
        """
        known = self._keys.get(key_id)
        if known is not None and monotonic() < self._fresh_until:
            return known
        # Who has a key already need not wait until another has looked for newer ones.
        if self._fetching.acquire(blocking=known is None):
            try:
                self._refresh()
            finally:
                self._fetching.release()
        known = self._keys.get(key_id)
        if known is not None:
            return known
        if self._away:
            raise IdentityProviderUnavailable
        raise AuthenticationFailed("The token's issuer has no such key.", code="invalid_token")

    def _refresh(self) -> None:
        if monotonic() < self._next_fetch or not self._circuit.allows():
            return
        try:
            self._keys = _usable(self._fetch())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # Those known so far stay good: an issuer that is away for a while locks nobody out.
            self._away = True
            self._circuit.failed()
            log.warning("issuer away", action="issuer_away", error=type(error).__name__)
        else:
            self._away = False
            self._circuit.succeeded()
            self._next_fetch = monotonic() + self._refresh_seconds
            self._fresh_until = monotonic() + _FRESH_SECONDS

    def _fetch(self) -> Any:
        return _get_json(self._url or self._discovered_url())

    def _discovered_url(self) -> str:
        found = _get_json(self._issuer.rstrip("/") + _DISCOVERY)
        url = found.get("jwks_uri")
        if found.get("issuer") != self._issuer or not isinstance(url, str) or not is_secure(url):
            raise ValueError("The issuer's description is of another issuer, or names no place for its keys.")
        return url


def _get_json(url: str) -> dict[str, Any]:
    response = httpx.get(url, timeout=_TIMEOUT_SECONDS)
    response.raise_for_status()
    if len(response.content) > _MOST_BYTES:
        raise ValueError("The answer is too long.")
    body = response.json()
    if not isinstance(body, dict):
        raise ValueError("The answer is not an object.")
    return body


def _usable(body: dict[str, Any]) -> dict[str, IssuerKey]:
    """The keys that may sign tokens here; others, of kinds we don't take, are no fault."""
    published = body.get("keys")
    if not isinstance(published, list):
        raise ValueError("The answer holds no keys.")
    keys = {jwk.get("kid"): _key(jwk) for jwk in published if isinstance(jwk, dict)}
    return {key_id: key for key_id, key in keys.items() if isinstance(key_id, str) and key is not None}


def _key(jwk: dict[str, Any]) -> IssuerKey | None:
    algorithm = _algorithm_of(jwk)
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(jwk, algorithm).key
    except PyJWTError:
        return None
    if isinstance(key, RSAPublicKey):
        return IssuerKey(algorithm, key) if key.key_size >= _FEWEST_RSA_BITS else None
    return IssuerKey(algorithm, key) if isinstance(key, EllipticCurvePublicKey) else None


def _algorithm_of(jwk: dict[str, Any]) -> str | None:
    if jwk.get("kty") == "RSA":
        return "RS256"
    return "ES256" if (jwk.get("kty"), jwk.get("crv")) == ("EC", "P-256") else None

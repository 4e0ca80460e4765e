"""Bearer tokens of an OpenID Connect issuer: checked, before anything that they say is believed."""

from functools import cache
from typing import Any

import jwt

from tasks.errors import AuthenticationFailed
from tasks.issuer_keys import IssuerKeys
from tasks.settings import settings

ALGORITHMS = ("RS256", "ES256")
_REQUIRED = ("exp", "iss", "aud", "sub")
_REFUSALS: dict[type[jwt.PyJWTError], tuple[str, str]] = {
    jwt.ExpiredSignatureError: ("token_expired", "The token has expired."),
    jwt.ImmatureSignatureError: ("token_not_valid_yet", "The token is not valid yet."),
    jwt.InvalidAudienceError: ("invalid_token", "The token is not for this platform."),
    jwt.InvalidIssuerError: ("invalid_token", "The token is not from the issuer trusted here."),
    jwt.InvalidSignatureError: ("invalid_token", "The token's signature is wrong."),
}


def is_one(token: str) -> bool:
    """Whether to read this as a token: it has three parts, and keys have no dots."""
    return settings().oidc_issuer is not None and token.count(".") == 2


def verify(token: str) -> dict[str, Any]:
    """The claims of a token that is signed by our issuer, for us, and valid now.

    The algorithm is the key's own: what the token's header says of it can only be wrong.

    Raises:
        AuthenticationFailed: in whatever way it is not all that.
        IdentityProviderUnavailable: the issuer's key is not known, and can't be fetched now.
    """
    try:
        key = _issuer_keys().get(_key_id(token))
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=settings().oidc_audience,
            issuer=settings().oidc_issuer,
            leeway=settings().oidc_leeway_seconds,
            options={"require": list(_REQUIRED)},
        )
    except jwt.PyJWTError as error:
        code, message = _REFUSALS.get(type(error), ("invalid_token", "The token is not valid."))
        raise AuthenticationFailed(message, code=code) from None


def _key_id(token: str) -> str:
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS:
        raise AuthenticationFailed(f"A token is signed with {' or '.join(ALGORITHMS)}.", code="invalid_token")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise AuthenticationFailed(
            "The token does not say with which key it is signed.", code="invalid_token"
        )
    return key_id


@cache
def _issuer_keys() -> IssuerKeys:
    issuer = settings().oidc_issuer or ""
    return IssuerKeys(issuer, settings().oidc_jwks_url, settings().oidc_refresh_seconds)

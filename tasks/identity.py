"""An identity: what a token's claims say of its bearer, by the platform's own names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.errors import AuthenticationFailed, PermissionDenied
from tasks.scopes import SCOPES_OF_ROLES, Role
from tasks.settings import settings

_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """``project`` is an id or a name, as the issuer calls it."""

    issuer: str
    subject: str
    project: str
    role: Role


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Raises AuthenticationFailed without a usable subject, PermissionDenied without a project or a role."""
    subject = _text(claims.get("sub"))
    if subject is None:
        raise AuthenticationFailed("The token's subject is not valid.", code="invalid_token")
    name = settings().oidc_project_claim
    project = _text(claims.get(name))
    if project is None:
        raise PermissionDenied(f"The token's claim {name!r} names no project.", code="no_project")
    return Identity(issuer=claims["iss"], subject=subject, project=project, role=_role(claims))


def _role(claims: Mapping[str, Any]) -> Role:
    """The mightiest of the roles that a claim names."""
    name = settings().oidc_role_claim
    roles = set(_roles(claims.get(name)))
    found = next((role for role in SCOPES_OF_ROLES if role in roles), settings().oidc_default_role)
    if found is None:
        raise PermissionDenied(f"The token's claim {name!r} names no role of this platform.", code="no_role")
    return found


def _roles(claimed: object) -> Iterator[str]:
    """Our names of the roles. Where names are translated, only those translated count."""
    names = claimed if isinstance(claimed, list) else [claimed]
    for name in names:
        if isinstance(name, str):
            yield settings().oidc_roles.get(name, "") if settings().oidc_roles else name


def _text(value: object) -> str | None:
    """Text that can be kept and shown: no control characters get in by a token."""
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()
    return str(value) if usable else None

"""What people and programs may do: five roles, and the scopes that each may have."""

from collections.abc import Collection
from enum import StrEnum

from tasks.scopes import SCOPES_OF_ROLES


class Role(StrEnum):
    """Of a user in the organization, and of a user or a service account in a project."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    END_USER = "end_user"


ROLE_KNOWN = f"role IN ({', '.join(repr(role.value) for role in Role)})"
"""The check constraint of every column that holds one."""

# Who keeps the organization: only their admin keys are good for anything.
KEEPERS = frozenset({Role.OWNER, Role.ADMIN})

RIGHTS = {role: SCOPES_OF_ROLES[role.value] for role in Role}
"""The scopes that each may have. `read` and `write` are every resource's; `chat:write` is one's."""


def within(role: Role, scopes: Collection[str]) -> frozenset[str]:
    """What is left of a key's scopes in the hands of this role."""
    rights = RIGHTS[role]
    kept = {scope for scope in scopes if any(_covers(right, scope) for right in rights)}
    return frozenset(kept | {right for right in rights if any(_covers(scope, right) for scope in scopes)})


def exceeding(role: Role, scopes: Collection[str]) -> list[str]:
    """Those of the scopes that this role may not have, in order."""
    return sorted(scope for scope in scopes if not any(_covers(right, scope) for right in RIGHTS[role]))


def may_grant(granter: Role, role: Role) -> bool:
    """Whether one who has a role in the organization may give, change or take away another."""
    return granter is Role.OWNER or (granter is Role.ADMIN and role is not Role.OWNER)


def _covers(wide: str, narrow: str) -> bool:
    return wide == narrow or narrow.endswith(f":{wide}")

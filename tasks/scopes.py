"""Scopes: what a caller may do, by resource; the list is closed."""

from collections.abc import Iterable, Mapping
from typing import Literal

from tasks.errors import InvalidRequest

Action = Literal["read", "write"]

READ: Action = "read"
WRITE: Action = "write"
# They hold for every resource, also for those that are still to come.
EVERYTHING = (READ, WRITE)

ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "batches": (READ, WRITE),
    "chat": (READ, WRITE),
    "completions": (WRITE,),
    "conversations": (READ, WRITE),
    "embeddings": (WRITE,),
    "files": (READ, WRITE),
    "jobs": (READ, WRITE),
    "models": (READ,),
    "responses": (READ, WRITE),
}
"""What there is to do with each resource."""

SCOPES = (*EVERYTHING, *(f"{resource}:{action}" for resource in ACTIONS for action in ACTIONS[resource]))
"""Every scope that a key can have."""

Role = Literal["owner", "admin", "developer", "viewer", "end_user"]

END_USER: Role = "end_user"
SCOPES_OF_ROLES: Mapping[Role, frozenset[str]] = {
    "owner": frozenset(EVERYTHING),
    "admin": frozenset(EVERYTHING),
    "developer": frozenset(EVERYTHING),
    "viewer": frozenset({READ}),
    "end_user": frozenset(
        {"chat:write", "completions:write", "responses:write", "embeddings:write", "jobs:read", "models:read"}
    ),
}
"""From the mightiest role down."""


def allows(scopes: frozenset[str], resource: str | None, action: Action) -> bool:
    """Whether scopes cover an action. A resource without scopes of its own (None) needs a wildcard."""
    return action in scopes or (resource is not None and f"{resource}:{action}" in scopes)


def checked(scopes: Iterable[str]) -> list[str]:
    """Scopes as they are kept: sorted, each once. Raises InvalidRequest."""
    wanted = sorted(set(scopes))
    unknown = next((scope for scope in wanted if scope not in SCOPES), None)
    if unknown is not None:
        raise InvalidRequest(f"There is no scope {unknown!r}.", param="scopes")
    if not wanted:
        raise InvalidRequest("A key needs at least one scope.", param="scopes")
    return wanted

"""Who does something on the admin plane: in whose organization, with what role, from where."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func, literal

from tasks.errors import PermissionDenied
from tasks.roles import Role, may_grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An admin key, a person, or the operator at the command line.

    ``organization_id`` None is the organization that every installation has.
    """

    kind: Literal["admin_key", "user", "cli"]
    organization_id: str | None = None
    id: str | None = None
    user_id: str | None = None
    role: Role = Role.OWNER
    request_id: str | None = None
    ip: str | None = None

    @property
    def organization(self) -> ColumnElement[str]:
        """As statements speak of it."""
        if self.organization_id is None:
            return func.default_organization_id()
        return literal(self.organization_id)

    def demand_over(self, role: Role) -> None:
        """Raises PermissionDenied where this role is not the actor's to give, change or take away."""
        if not may_grant(self.role, role):
            raise PermissionDenied(
                f"An organization's {self.role} has no say over its {role}s.", code="insufficient_role"
            )


OPERATOR = Actor(kind="cli")
"""Whoever runs commands beside the database."""

"""Roles as the admin API names them: it knows two of an organization and two of a project.

Ours are taken as well. Bodies have the API's word as ``role``, and ours beside it.
"""

from typing import Annotated, Literal

from pydantic import Field

from tasks.roles import KEEPERS, Role

OrganizationWord = Literal["owner", "reader"]
ProjectWord = Literal["owner", "member"]
OrganizationRole = Literal["owner", "reader", "admin", "developer", "viewer", "end_user"]
ProjectRole = Literal["owner", "member", "admin", "developer", "viewer", "end_user"]
OurRole = Annotated[Role | None, Field(description="The role exactly; `role` is the API's word for it.")]

_OF_WORDS = {"reader": Role.VIEWER, "member": Role.DEVELOPER}


def role_of(name: OrganizationRole | ProjectRole) -> Role:
    """The role behind either kind of name."""
    return _OF_WORDS.get(name) or Role(name)


def organization_word(role: Role) -> OrganizationWord:
    """Whoever keeps the organization is an owner, everyone else may at most look."""
    return "owner" if role in KEEPERS else "reader"


def project_word(role: Role) -> ProjectWord:
    return "owner" if role in KEEPERS else "member"

"""A project's keys in the admin API."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from tasks.pages import Page
from tasks.project_keys import ProjectKeyRecord
from tasks.roles import Role
from tasks.wire.organization.fields import unix_seconds, unix_seconds_or_none
from tasks.wire.organization.pages import ListBody, list_values
from tasks.wire.organization.roles import ProjectWord, project_word


class OwnerUserBody(BaseModel):
    """The user whose key it is."""

    id: str
    email: str
    name: str
    role: ProjectWord | Literal["none"]
    created_at: int


class OwnerServiceAccountBody(BaseModel):
    """The service account whose key it is."""

    id: str
    name: str
    role: ProjectWord | Literal["none"]
    created_at: int


class OwnerBody(BaseModel):
    """Whose a key is; nobody's, where an operator made it."""

    type: Literal["user", "service_account"] | None = None
    user: OwnerUserBody | None = None
    service_account: OwnerServiceAccountBody | None = None


class ProjectKeyBody(BaseModel):
    """A project's key."""

    id: str
    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    name: str
    redacted_value: str
    scopes: list[str] = Field(description="Where its owner's role may do less, it is good for less.")
    owner: OwnerBody
    owner_project_access: Literal["active", "inactive"]
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class ProjectKeyListBody(ListBody[ProjectKeyBody]):
    """A page of a project's keys."""


class ProjectKeyDeleted(BaseModel):
    """A key is no more."""

    id: str
    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"
    deleted: Literal[True] = True


def project_key_body(key: ProjectKeyRecord) -> ProjectKeyBody:
    return ProjectKeyBody(
        id=key.id,
        name=key.name,
        redacted_value=f"{key.prefix}…" if key.prefix else "(a token's bearer)",
        scopes=key.scopes,
        owner=_owner(key),
        owner_project_access="active" if key.usable else "inactive",
        created_at=unix_seconds(key.created_at),
        expires_at=unix_seconds_or_none(key.expires_at),
        last_used_at=unix_seconds_or_none(key.last_used_at),
    )


def project_key_list_body(page: Page[ProjectKeyRecord]) -> ProjectKeyListBody:
    return ProjectKeyListBody(**list_values(page, project_key_body))


def _owner(key: ProjectKeyRecord) -> OwnerBody:
    role: ProjectWord | Literal["none"] = "none" if key.role is None else project_word(Role(key.role))
    if key.user_id is not None:
        user = OwnerUserBody(
            id=key.user_id,
            email=key.user_email or "",
            name=key.user_name or "",
            role=role,
            created_at=_made(key.user_created_at),
        )
        return OwnerBody(type="user", user=user)
    if key.service_account_id is not None:
        account = OwnerServiceAccountBody(
            id=key.service_account_id,
            name=key.service_account_name or "",
            role=role,
            created_at=_made(key.service_account_created_at),
        )
        return OwnerBody(type="service_account", service_account=account)
    return OwnerBody()


def _made(moment: datetime | None) -> int:
    """Of an owner that there is; only the join does not know that there is one."""
    return 0 if moment is None else unix_seconds(moment)

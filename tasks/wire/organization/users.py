"""Users of the admin API, in the organization and in projects."""

from collections.abc import Callable
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from tasks.memberships import Member
from tasks.pages import Page
from tasks.roles import Role
from tasks.users import UserRecord
from tasks.wire.fields import Refused, Strict
from tasks.wire.organization.fields import Email, ObjectName, unix_seconds
from tasks.wire.organization.pages import ListBody, list_values
from tasks.wire.organization.roles import (
    OrganizationRole,
    OrganizationWord,
    OurRole,
    ProjectRole,
    ProjectWord,
    organization_word,
    project_word,
)


class UserUpdateRequest(Strict):
    """Another role in the organization."""

    role: OrganizationRole
    role_id: Refused = None
    developer_persona: Refused = None
    technical_level: Refused = None


class ProjectUserCreateRequest(Strict):
    """A user of the organization joins a project."""

    role: ProjectRole
    user_id: ObjectName | None = None
    email: Email | None = Field(None, description="Instead of `user_id`.")

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if (self.user_id is None) == (self.email is None):
            raise ValueError("give either `user_id` or `email`")
        return self


class ProjectUserUpdateRequest(Strict):
    """Another role in the project."""

    role: ProjectRole


class UserBody(BaseModel):
    """A user of the organization."""

    id: str
    object: Literal["organization.user"] = "organization.user"
    email: str
    name: str
    role: OrganizationWord
    tokenmill_role: OurRole
    added_at: int


class UserListBody(ListBody[UserBody]):
    """A page of users."""


class UserDeleted(BaseModel):
    """A user belongs to the organization no more."""

    id: str
    object: Literal["organization.user.deleted"] = "organization.user.deleted"
    deleted: Literal[True] = True


class ProjectUserBody(BaseModel):
    """A user of a project."""

    id: str
    object: Literal["organization.project.user"] = "organization.project.user"
    email: str
    name: str
    role: ProjectWord
    tokenmill_role: OurRole
    added_at: int


class ProjectUserListBody(ListBody[ProjectUserBody]):
    """A page of a project's users."""


class ProjectUserDeleted(BaseModel):
    """A user belongs to the project no more."""

    id: str
    object: Literal["organization.project.user.deleted"] = "organization.project.user.deleted"
    deleted: Literal[True] = True


USER_UPDATE: TypeAdapter[UserUpdateRequest] = TypeAdapter(UserUpdateRequest)
PROJECT_USER_CREATE: TypeAdapter[ProjectUserCreateRequest] = TypeAdapter(ProjectUserCreateRequest)
PROJECT_USER_UPDATE: TypeAdapter[ProjectUserUpdateRequest] = TypeAdapter(ProjectUserUpdateRequest)


def user_body(user: UserRecord) -> UserBody:
    return UserBody(**_person(user, organization_word))


def user_list_body(page: Page[UserRecord]) -> UserListBody:
    return UserListBody(**list_values(page, user_body))


def project_user_body(member: Member) -> ProjectUserBody:
    return ProjectUserBody(**_person(member, project_word))


def project_user_list_body(page: Page[Member]) -> ProjectUserListBody:
    return ProjectUserListBody(**list_values(page, project_user_body))


def _person(record: UserRecord | Member, word: Callable[[Role], str]) -> dict[str, Any]:
    role = Role(record.role)
    return {
        "id": record.id,
        "email": record.email,
        "name": record.name,
        "role": word(role),
        "tokenmill_role": role,
        "added_at": unix_seconds(record.created_at),
    }

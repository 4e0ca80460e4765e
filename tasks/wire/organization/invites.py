"""Invitations of the admin API."""

from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.invites import InviteRecord, ProjectInvite
from tasks.pages import Page
from tasks.roles import Role
from tasks.wire.fields import Strict
from tasks.wire.organization.fields import Email, ObjectName, unix_seconds, unix_seconds_or_none
from tasks.wire.organization.pages import ListBody, list_values
from tasks.wire.organization.roles import (
    OrganizationRole,
    OrganizationWord,
    OurRole,
    ProjectRole,
    ProjectWord,
    organization_word,
    project_word,
    role_of,
)


class InvitedProject(Strict):
    """A project that the invited person joins."""

    id: ObjectName
    role: ProjectRole


class InviteCreateRequest(Strict):
    """An invitation for whoever has an address. No mail is sent."""

    email: Email
    role: OrganizationRole
    projects: list[InvitedProject] = Field(default_factory=list, max_length=100)

    def project_invites(self) -> list[ProjectInvite]:
        return [ProjectInvite(project.id, role_of(project.role)) for project in self.projects]


class InviteProjectBody(BaseModel):
    """A project that an invitation leads to."""

    id: str
    role: ProjectWord
    tokenmill_role: OurRole


class InviteBody(BaseModel):
    """An invitation."""

    id: str
    object: Literal["organization.invite"] = "organization.invite"
    email: str
    role: OrganizationWord
    tokenmill_role: OurRole
    projects: list[InviteProjectBody]
    status: Literal["pending", "accepted", "expired"]
    created_at: int
    expires_at: int
    accepted_at: int | None


class InviteListBody(ListBody[InviteBody]):
    """A page of invitations."""


class InviteDeleted(BaseModel):
    """Nobody comes in by this invitation any more."""

    id: str
    object: Literal["organization.invite.deleted"] = "organization.invite.deleted"
    deleted: Literal[True] = True


INVITE_CREATE: TypeAdapter[InviteCreateRequest] = TypeAdapter(InviteCreateRequest)


def invite_body(invite: InviteRecord) -> InviteBody:
    role = Role(invite.role)
    projects = [(project["id"], Role(project["role"])) for project in invite.projects]
    return InviteBody.model_validate(
        {
            "id": invite.id,
            "email": invite.email,
            "role": organization_word(role),
            "tokenmill_role": role,
            "projects": [
                InviteProjectBody(id=project_id, role=project_word(of_project), tokenmill_role=of_project)
                for project_id, of_project in projects
            ],
            "status": invite.status,
            "created_at": unix_seconds(invite.created_at),
            "expires_at": unix_seconds(invite.expires_at),
            "accepted_at": unix_seconds_or_none(invite.accepted_at),
        }
    )


def invite_list_body(page: Page[InviteRecord]) -> InviteListBody:
    return InviteListBody(**list_values(page, invite_body))

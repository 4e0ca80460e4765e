"""Projects of the admin API."""

from typing import Literal

from pydantic import BaseModel, TypeAdapter

from tasks.pages import Page
from tasks.projects import ProjectRecord
from tasks.wire.fields import Refused, Strict
from tasks.wire.organization.fields import Name, unix_seconds, unix_seconds_or_none
from tasks.wire.organization.pages import ListBody, list_values


class ProjectCreateRequest(Strict):
    """A new project."""

    name: Name
    external_key_id: Refused = None
    geography: Refused = None
    residency: Refused = None


class ProjectUpdateRequest(Strict):
    """Another name for a project."""

    name: Name
    external_key_id: Refused = None
    geography: Refused = None


class ProjectBody(BaseModel):
    """A project."""

    id: str
    object: Literal["organization.project"] = "organization.project"
    name: str
    status: Literal["active", "archived"]
    created_at: int
    archived_at: int | None


class ProjectListBody(ListBody[ProjectBody]):
    """A page of projects."""


PROJECT_CREATE: TypeAdapter[ProjectCreateRequest] = TypeAdapter(ProjectCreateRequest)
PROJECT_UPDATE: TypeAdapter[ProjectUpdateRequest] = TypeAdapter(ProjectUpdateRequest)


def project_body(project: ProjectRecord) -> ProjectBody:
    return ProjectBody(
        id=project.id,
        name=project.name,
        status="active" if project.archived_at is None else "archived",
        created_at=unix_seconds(project.created_at),
        archived_at=unix_seconds_or_none(project.archived_at),
    )


def project_list_body(page: Page[ProjectRecord]) -> ProjectListBody:
    return ProjectListBody(**list_values(page, project_body))

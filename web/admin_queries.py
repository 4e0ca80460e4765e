"""Query parameters of the admin API's lists."""

from typing import Literal

from pydantic import Field

from tasks.audit import AuditFilter
from tasks.pages import PageFilter
from tasks.project_keys import Access
from web.queries import Name, Query, UnixSeconds


class PageQuery(Query):
    """Which page of a list."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    after: Name | None = Field(None, description="The page behind this id.")

    def page(self) -> PageFilter:
        return PageFilter(limit=self.limit, after=self.after)


class ProjectListQuery(PageQuery):
    """Which projects to list."""

    include_archived: bool = False


class UserListQuery(PageQuery):
    """Which users to list."""

    emails: list[Name] = Field(default_factory=list, max_length=100, description="Only of these addresses.")


class ProjectKeyListQuery(PageQuery):
    """Which keys of a project to list."""

    owner_project_access: Access = Field(
        "any", description="Whether their owners have access to the project."
    )


class AdminKeyListQuery(PageQuery):
    """Which admin keys to list."""

    order: Literal["asc", "desc"] = Field("asc", description="By time of creation.")

    def page(self) -> PageFilter:
        return PageFilter(limit=self.limit, after=self.after, order=self.order)


class AuditQuery(PageQuery):
    """Which entries of the audit log to list, newest first."""

    before: Name | None = Field(None, description="The page ahead of this id.")
    event_types: list[Name] = Field(default_factory=list, max_length=200)
    actor_ids: list[Name] = Field(default_factory=list, max_length=100, description="Keys or users.")
    actor_emails: list[Name] = Field(default_factory=list, max_length=100)
    project_ids: list[Name] = Field(default_factory=list, max_length=100)
    resource_ids: list[Name] = Field(default_factory=list, max_length=100, description="What was acted on.")
    effective_at: dict[Literal["gt", "gte", "lt", "lte"], UnixSeconds] = Field(default_factory=dict)
    tenant_only: bool = False

    def page(self) -> PageFilter:
        return PageFilter(limit=self.limit, after=self.after, before=self.before, order="desc")

    def audit_filter(self) -> AuditFilter:
        return AuditFilter(
            actor_ids=self.actor_ids,
            actor_emails=self.actor_emails,
            actions=self.event_types,
            project_ids=self.project_ids,
            object_ids=self.resource_ids,
            moments={str(bound): moment for bound, moment in self.effective_at.items()},
            tenant_only=self.tenant_only,
        )


class SpendAlertListQuery(PageQuery):
    """Which alerts to list."""

    before: Name | None = Field(None, description="The page ahead of this id.")
    order: Literal["asc", "desc"] = Field("asc", description="By time of creation.")

    def page(self) -> PageFilter:
        return PageFilter(limit=self.limit, after=self.after, before=self.before, order=self.order)


class RateLimitListQuery(PageQuery):
    """Which rate limits of a project to list."""

    limit: int = Field(100, ge=1, le=100, description="How many at most.")
    before: Name | None = Field(None, description="The page ahead of this id.")

    def page(self) -> PageFilter:
        return PageFilter(limit=self.limit, after=self.after, before=self.before)

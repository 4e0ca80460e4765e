"""Whose money the admin plane speaks of: the organization's, or one of its projects'."""

from sqlalchemy import Connection, select

from tasks.actor import Actor
from tasks.budget_subject import Subject, SubjectKind
from tasks.projects import live_project, project_of


def spend_subject(
    connection: Connection, actor: Actor, project_id: str | None, *, change: bool = False
) -> Subject:
    """The organization without ``project_id``. Raises ProjectNotFound; ProjectArchived, to ``change``."""
    if project_id is None:
        organization_id: str = connection.execute(select(actor.organization)).scalar_one()
        return Subject(SubjectKind.ORGANIZATION, organization_id)
    (live_project if change else project_of)(connection, actor, project_id)
    return Subject(SubjectKind.PROJECT, project_id)

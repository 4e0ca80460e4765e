"""Which projects are whose: what an organization's money is made of."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from tasks.models import Project


def organization_of(connection: Connection, project_id: str) -> str | None:
    """The organization that a project belongs to; None where there is no such project."""
    query = select(Project.organization_id).where(Project.id == project_id)
    organization_id: str | None = connection.execute(query).scalar()
    return organization_id


def projects_of(connection: Connection, organization_id: str) -> Sequence[str]:
    """The projects of an organization, archived ones too, in the order of their ids."""
    query = select(Project.id).where(Project.organization_id == organization_id).order_by(Project.id)
    return connection.execute(query).scalars().all()

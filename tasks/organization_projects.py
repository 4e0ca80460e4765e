"""Which projects are whose: what an organization's money is made of."""

from collections.abc import Sequence

from sqlalchemy import Connection


def organization_of(connection: Connection, project_id: str) -> str | None:
    """The organization that a project belongs to."""
    return None


def projects_of(connection: Connection, organization_id: str) -> Sequence[str]:
    """The projects of an organization."""
    return ()

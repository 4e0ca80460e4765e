"""Projects: made by an operator, found by name or id."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, insert, or_, select, text

from tasks import budgets
from tasks.db import transaction
from tasks.errors import ProjectNotFound
from tasks.ids import new_id
from tasks.models import Project, Spend

# Two servers that start at once must not both make the default project.
_CREATE_LOCK = 7_270_011


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    id: str
    name: str


def create_project(name: str, limit_usd: Decimal | None = None) -> ProjectRecord:
    """A project and its spend row; ``limit_usd`` None means no limit."""
    with transaction() as connection:
        return _insert(connection, name, limit_usd)


def find_or_create_project(name: str) -> ProjectRecord:
    """The oldest project of that name, or a new one without a limit."""
    with transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
        query = select(Project.id, Project.name).where(Project.name == name).order_by(Project.id)
        row = connection.execute(query).first()
        return ProjectRecord(*row) if row is not None else _insert(connection, name, None)


def find_project(name_or_id: str) -> ProjectRecord:
    """Raises ProjectNotFound."""
    query = select(Project.id, Project.name).where(or_(Project.id == name_or_id, Project.name == name_or_id))
    with transaction() as connection:
        row = connection.execute(query.order_by(Project.id)).first()
    if row is None:
        raise ProjectNotFound(f"There is no project {name_or_id!r}.")
    return ProjectRecord(*row)


def list_projects() -> list[ProjectRecord]:
    """Every project, oldest first."""
    with transaction() as connection:
        rows = connection.execute(select(Project.id, Project.name).order_by(Project.id))
        return [ProjectRecord(*row) for row in rows]


def _insert(connection: Connection, name: str, limit_usd: Decimal | None) -> ProjectRecord:
    project = ProjectRecord(new_id("proj"), name)
    connection.execute(insert(Project).values(id=project.id, name=name))
    connection.execute(insert(Spend).values(project_id=project.id, limit_usd=limit_usd))
    budgets.adopt(connection, project.id)
    return project

"""Projects: made by an operator or over the admin plane, found by name or id, archived for good."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, text, update

from tasks import audit, budgets
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tasks.errors import ProjectArchived, ProjectNotFound
from tasks.ids import new_id
from tasks.models import Project, Spend
from tasks.pages import Page, PageFilter, read_page

# Two servers that start at once must not both make the default project.
_CREATE_LOCK = 7_270_011


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    id: str
    name: str
    created_at: datetime
    archived_at: datetime | None


_COLUMNS = (Project.id, Project.name, Project.created_at, Project.archived_at)


def create_project(name: str, limit_usd: Decimal | None = None, actor: Actor = OPERATOR) -> ProjectRecord:
    """A project and its spend row; ``limit_usd`` None means no limit."""
    with transaction() as connection:
        return _insert(connection, actor, name, limit_usd)


def find_or_create_project(name: str) -> ProjectRecord:
    """The oldest project of that name that is not archived, or a new one without a limit."""
    with transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
        query = select(*_COLUMNS).where(Project.name == name, Project.archived_at.is_(None))
        row = connection.execute(query.order_by(Project.id)).first()
        return ProjectRecord(*row) if row is not None else _insert(connection, OPERATOR, name, None)


def find_project(name_or_id: str) -> ProjectRecord:
    """The oldest of that name, rather one that is not archived. Raises ProjectNotFound."""
    query = select(*_COLUMNS).where(or_(Project.id == name_or_id, Project.name == name_or_id))
    with transaction() as connection:
        row = connection.execute(query.order_by(Project.archived_at.is_not(None), Project.id)).first()
    if row is None:
        raise ProjectNotFound(f"There is no project {name_or_id!r}.")
    return ProjectRecord(*row)


def list_projects() -> list[ProjectRecord]:
    """Every project, oldest first."""
    with transaction() as connection:
        rows = connection.execute(select(*_COLUMNS).order_by(Project.id))
        return [ProjectRecord(*row) for row in rows]


def project_page(actor: Actor, page: PageFilter, *, include_archived: bool = False) -> Page[ProjectRecord]:
    """A page of the organization's projects."""
    query = select(*_COLUMNS).where(Project.organization_id == actor.organization)
    if not include_archived:
        query = query.where(Project.archived_at.is_(None))
    with transaction() as connection:
        return read_page(connection, query, Project.id, page, ProjectRecord)


def get_project(actor: Actor, project_id: str) -> ProjectRecord:
    """Raises ProjectNotFound."""
    with transaction() as connection:
        return project_of(connection, actor, project_id)


def rename_project(actor: Actor, project_id: str, name: str) -> ProjectRecord:
    """Raises ProjectNotFound, ProjectArchived."""
    with transaction() as connection:
        live_project(connection, actor, project_id)
        connection.execute(update(Project).where(Project.id == project_id).values(name=name))
        changes = {"name": name, "title": name}
        audit.record(
            connection,
            actor,
            "project.updated",
            project_id,
            project_id=project_id,
            changes_requested=changes,
        )
        return project_of(connection, actor, project_id)


def archive_project(actor: Actor, project_id: str) -> ProjectRecord:
    """Its keys stop within a second, for good; its data stays. Once more changes nothing.

    Raises ProjectNotFound.
    """
    statement = update(Project).where(*_named(actor, project_id), Project.archived_at.is_(None))
    with transaction() as connection:
        if connection.execute(statement.values(archived_at=func.now())).rowcount:
            audit.record(connection, actor, "project.archived", project_id, project_id=project_id)
        return project_of(connection, actor, project_id)


def project_of(connection: Connection, actor: Actor, project_id: str) -> ProjectRecord:
    """A project of the actor's organization. Raises ProjectNotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_named(actor, project_id))).first()
    if row is None:
        raise ProjectNotFound(f"There is no project {project_id!r}.", param="project_id")
    return ProjectRecord(*row)


def live_project(connection: Connection, actor: Actor, project_id: str) -> ProjectRecord:
    """The same, kept from being archived until the transaction ends. Raises also ProjectArchived."""
    query = select(*_COLUMNS).where(*_named(actor, project_id)).with_for_update(read=True)
    row = connection.execute(query).first()
    if row is None:
        raise ProjectNotFound(f"There is no project {project_id!r}.", param="project_id")
    project = ProjectRecord(*row)
    if project.archived_at is not None:
        raise ProjectArchived
    return project


def _named(actor: Actor, project_id: str) -> tuple[ColumnElement[bool], ...]:
    return Project.organization_id == actor.organization, Project.id == project_id


def _insert(connection: Connection, actor: Actor, name: str, limit_usd: Decimal | None) -> ProjectRecord:
    project_id = new_id("proj")
    values = {"id": project_id, "name": name, "organization_id": actor.organization}
    row = connection.execute(insert(Project).values(values).returning(*_COLUMNS)).one()
    connection.execute(insert(Spend).values(project_id=project_id, limit_usd=limit_usd))
    budgets.adopt(connection, project_id)
    audit.record(
        connection,
        actor,
        "project.created",
        project_id,
        project_id=project_id,
        data={"name": name, "title": name},
    )
    return ProjectRecord(*row)

"""Programs that belong to a project and have keys of their own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from tasks import audit, project_keys
from tasks.actor import Actor
from tasks.db import transaction
from tasks.errors import ServiceAccountNotFound
from tasks.ids import new_id
from tasks.models import ServiceAccount
from tasks.pages import Page, PageFilter, read_page
from tasks.project_keys import NewProjectKey
from tasks.projects import live_project, project_of
from tasks.roles import Role


@dataclass(frozen=True, slots=True)
class ServiceAccountRecord:
    """A service account; ``role`` None is good for nothing."""

    id: str
    name: str
    role: str | None
    created_at: datetime


_COLUMNS = (ServiceAccount.id, ServiceAccount.name, ServiceAccount.role, ServiceAccount.created_at)
_FIRST_KEY = "Secret Key"


def create_service_account(
    actor: Actor, project_id: str, name: str, *, bare: bool = False, expires_in_seconds: int | None = None
) -> tuple[ServiceAccountRecord, NewProjectKey | None]:
    """A developer of the project with a first key; ``bare`` makes it without role and key.

    Raises ProjectNotFound, ProjectArchived.
    """
    account_id = new_id("svc_acct")
    role = None if bare else Role.DEVELOPER
    values = {"id": account_id, "project_id": project_id, "name": name, "role": role}
    with transaction() as connection:
        live_project(connection, actor, project_id)
        row = connection.execute(insert(ServiceAccount).values(values).returning(*_COLUMNS)).one()
        audit.record(
            connection,
            actor,
            "service_account.created",
            account_id,
            project_id=project_id,
            data={"role": role.value if role else "none"},
        )
        key = None
        if role is not None:
            key = _add_key(
                connection,
                actor,
                project_id,
                account_id,
                role,
                _FIRST_KEY,
                expires_in_seconds=expires_in_seconds,
            )
        return ServiceAccountRecord(*row), key


def create_service_account_key(
    actor: Actor,
    project_id: str,
    account_id: str,
    name: str | None,
    scopes: list[str] | None,
    expires_in_seconds: int | None = None,
) -> NewProjectKey:
    """One more key of a service account's; without ``scopes``, for all that its role may do.

    Raises ProjectNotFound, ProjectArchived, ServiceAccountNotFound, InvalidRequest.
    """
    with transaction() as connection:
        live_project(connection, actor, project_id)
        account = _read(connection, project_id, account_id)
        role = None if account.role is None else Role(account.role)
        return _add_key(
            connection,
            actor,
            project_id,
            account_id,
            role,
            name or _FIRST_KEY,
            scopes,
            expires_in_seconds,
        )


def get_service_account(actor: Actor, project_id: str, account_id: str) -> ServiceAccountRecord:
    """Raises ProjectNotFound, ServiceAccountNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        return _read(connection, project_id, account_id)


def list_service_accounts(actor: Actor, project_id: str, page: PageFilter) -> Page[ServiceAccountRecord]:
    """Raises ProjectNotFound."""
    with transaction() as connection:
        project_of(connection, actor, project_id)
        query = select(*_COLUMNS).where(*_there(project_id))
        return read_page(connection, query, ServiceAccount.id, page, ServiceAccountRecord)


def update_service_account(
    actor: Actor, project_id: str, account_id: str, *, name: str | None = None, role: Role | None = None
) -> ServiceAccountRecord:
    """Another name, another role, or both.

    Raises ProjectNotFound, ProjectArchived, ServiceAccountNotFound.
    """
    changes = {"name": name, "role": None if role is None else role.value}
    changes = {field: value for field, value in changes.items() if value is not None}
    with transaction() as connection:
        live_project(connection, actor, project_id)
        if changes:
            statement = update(ServiceAccount).where(*_named(project_id, account_id)).values(changes)
            if connection.execute(statement).rowcount:
                audit.record(
                    connection,
                    actor,
                    "service_account.updated",
                    account_id,
                    project_id=project_id,
                    changes_requested=changes,
                )
        return _read(connection, project_id, account_id)


def delete_service_account(actor: Actor, project_id: str, account_id: str) -> None:
    """Its keys stop within a second. Raises ProjectNotFound, ServiceAccountNotFound."""
    statement = update(ServiceAccount).where(*_named(project_id, account_id)).values(deleted_at=func.now())
    with transaction() as connection:
        project_of(connection, actor, project_id)
        if connection.execute(statement).rowcount == 0:
            raise _not_found(account_id)
        audit.record(connection, actor, "service_account.deleted", account_id, project_id=project_id)


def _add_key(
    connection: Connection,
    actor: Actor,
    project_id: str,
    account_id: str,
    role: Role | None,
    name: str,
    scopes: list[str] | None = None,
    expires_in_seconds: int | None = None,
) -> NewProjectKey:
    asked = project_keys.check_scopes(role, scopes)
    return project_keys.add_project_key(
        connection,
        actor,
        project_id,
        name,
        asked,
        service_account_id=account_id,
        expires_in_seconds=expires_in_seconds,
    )


def _there(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return ServiceAccount.project_id == project_id, ServiceAccount.deleted_at.is_(None)


def _named(project_id: str, account_id: str) -> tuple[ColumnElement[bool], ...]:
    return (*_there(project_id), ServiceAccount.id == account_id)


def _read(connection: Connection, project_id: str, account_id: str) -> ServiceAccountRecord:
    row = connection.execute(select(*_COLUMNS).where(*_named(project_id, account_id))).first()
    if row is None:
        raise _not_found(account_id)
    return ServiceAccountRecord(*row)


def _not_found(account_id: str) -> ServiceAccountNotFound:
    return ServiceAccountNotFound(
        f"There is no service account {account_id!r} in this project.", param="service_account_id"
    )

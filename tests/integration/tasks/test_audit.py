"""The audit log."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from tasks import admin_keys, audit, keys, projects, users
from tasks.actor import OPERATOR
from tasks.audit import AuditFilter, AuditRecord
from tasks.db import engine
from tasks.errors import UserAlreadyThere
from tasks.pages import PageFilter
from tasks.roles import Role


def entries() -> list[AuditRecord]:
    return audit.list_entries(OPERATOR, AuditFilter(), PageFilter(limit=100)).items


def test_what_an_operator_does_is_in_the_log() -> None:
    project = projects.create_project("acme")
    key = keys.create_key(project.id, "key", ["read"])
    keys.revoke_key(key.id)
    assert [(entry.action, entry.actor_kind, entry.project_id) for entry in entries()] == [
        ("project.created", "cli", project.id),
        ("api_key.created", "cli", project.id),
        ("api_key.deleted", "cli", project.id),
    ]
    assert entries()[1].details == {"id": key.id, "data": {"scopes": ["read"]}}


def test_no_secret_is_in_the_log() -> None:
    project = projects.create_project("acme")
    secrets = [keys.create_key(project.id, "key").secret, admin_keys.create_admin_key(OPERATOR, "admin")[1]]
    logged = repr(entries())
    assert not any(secret in logged for secret in secrets)


def test_action_that_fails_leaves_no_entry_and_one_that_changes_nothing_neither() -> None:
    users.create_user(OPERATOR, "ana@example.com", "Ana", Role.VIEWER)
    with pytest.raises(UserAlreadyThere):
        users.create_user(OPERATOR, "ana@example.com", "Ana", Role.VIEWER)
    project = projects.create_project("acme")
    for _ in range(2):
        projects.archive_project(OPERATOR, project.id)
    assert [entry.action for entry in entries()] == ["user.added", "project.created", "project.archived"]


def test_log_refuses_every_change() -> None:
    projects.create_project("acme")
    for change in (
        "UPDATE audit_entries SET action = 'nothing'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ):
        with engine().connect() as connection, pytest.raises(InternalError, match="append-only"):
            connection.execute(text(change))
    assert len(entries()) == 1

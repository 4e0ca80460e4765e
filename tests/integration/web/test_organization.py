"""The admin plane over HTTP: what it refuses, and whom it shows what."""

from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tasks import admin_keys, projects
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tests.integration.web.conftest import Api
from web.cli import cli


@pytest.fixture
def admin(api: Api) -> httpx.Client:
    """The shared client, with an admin key."""
    _, secret = admin_keys.create_admin_key(OPERATOR, "tests")
    api.http.headers["Authorization"] = f"Bearer {secret}"
    return api.http


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("projects", {}, "name"),
    ("projects", {"name": "a\x00b"}, "name"),
    ("projects", {"name": "a", "geography": "eu"}, "geography"),
    ("invites", {"email": "nobody", "role": "owner"}, "email"),
    ("invites", {"email": "a@b", "role": "king"}, "role"),
    (
        "invites",
        {"email": "a@b", "role": "owner", "projects": [{"id": "x", "role": "?"}]},
        "projects[0].role",
    ),
    ("admin_api_keys", {"name": "k", "expires_in_seconds": 0}, "expires_in_seconds"),
    ("projects/{project}/service_accounts", {"name": 1}, "name"),
    ("projects/{project}/service_accounts/svc_acct_1", {"role": "none"}, "role"),
)


def test_wrong_field_is_named(admin: httpx.Client) -> None:
    project = projects.create_project("acme").id
    for path, body, param in WRONG:
        answer = admin.post(f"/v1/organization/{path.format(project=project)}", json=body)
        assert (answer.status_code, error_of(answer)["param"]) == (400, param), path


def test_lists_refuse_what_they_do_not_understand(admin: httpx.Client) -> None:
    for query, param in (("limit=0", "limit"), ("limit=101", "limit"), ("sort=name", "sort")):
        answer = admin.get(f"/v1/organization/projects?{query}")
        assert (answer.status_code, error_of(answer)["param"]) == (400, param)
    answer = admin.get("/v1/organization/audit_logs?effective_at[about]=1")
    assert answer.status_code == 400
    assert str(error_of(answer)["param"]).startswith("effective_at")


def test_user_is_named_by_id_or_by_address_and_not_by_both(admin: httpx.Client) -> None:
    project = projects.create_project("acme").id
    for named in ({}, {"user_id": "user_1", "email": "a@b"}):
        answer = admin.post(f"/v1/organization/projects/{project}/users", json={"role": "member", **named})
        assert answer.status_code == 400
    stranger = {"role": "member", "email": "a@b"}
    answer = admin.post(f"/v1/organization/projects/{project}/users", json=stranger)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "user_not_found")


def test_another_organizations_objects_are_not_found(admin: httpx.Client) -> None:
    with transaction() as connection:
        connection.execute(text("INSERT INTO organizations (id, name) VALUES ('org_2', 'other')"))
    stranger = Actor(kind="cli", organization_id="org_2")
    project = projects.create_project("theirs", actor=stranger).id
    key, _ = admin_keys.create_admin_key(stranger, "theirs")
    for method, path in (
        ("GET", f"projects/{project}"),
        ("POST", f"projects/{project}/archive"),
        ("GET", f"projects/{project}/users"),
        ("GET", f"projects/{project}/service_accounts"),
        ("GET", f"projects/{project}/api_keys"),
        ("GET", f"admin_api_keys/{key.id}"),
        ("DELETE", f"admin_api_keys/{key.id}"),
    ):
        assert admin.request(method, f"/v1/organization/{path}").status_code == 404, path
    assert admin.get("/v1/organization/projects").json()["data"][0]["name"] == "tests"
    logged = admin.get("/v1/organization/audit_logs?limit=100").json()["data"]
    assert project not in str(logged)
    assert projects.get_project(stranger, project).archived_at is None


def test_entries_of_the_log_name_their_request_and_where_it_came_from(admin: httpx.Client) -> None:
    made = admin.post("/v1/organization/projects", json={"name": "acme"})
    entry = admin.get("/v1/organization/audit_logs?event_types[]=project.created&limit=1").json()["data"][0]
    assert (entry["request_id"], entry["ip_address"]) == (made.headers["x-request-id"], "127.0.0.1")
    assert entry["project.created"]["id"] == made.json()["id"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_commands_do_the_same_beside_the_database(api: Api, secret: str) -> None:
    user_id = run("users", "add", "ana@example.com", "--role", "owner")
    assert "ana@example.com" in run("users", "list")
    assert "developer" in run("users", "join", "ana@example.com", "--project", "tests")
    assert run("users", "create-key", "ana@example.com", "--project", "tests").startswith("tm-")
    admin_secret = run("admin-keys", "create", "--user", "ana@example.com", "--expires-in-days", "1")
    key_id = admin_keys.authenticate(admin_secret).id
    assert str(key_id) in run("admin-keys", "list")
    run("admin-keys", "revoke", str(key_id))
    run("users", "remove", user_id)
    run("projects", "archive", "tests")
    assert "archived" in run("projects", "list")
    refused = CliRunner().invoke(cli, ["users", "accept", "nobody@example.com"])
    assert refused.exit_code == 1

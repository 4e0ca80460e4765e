"""The admin plane, as the OpenAI client drives it."""

import subprocess
import sys
import time
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.acceptance.conftest import LiveServer, environment


def run(server: LiveServer, *arguments: str) -> str:
    """What a command beside the server's database prints."""
    done = subprocess.run(
        [sys.executable, "-m", "web.cli", *arguments],
        env=environment(DATABASE_URL=server.database_url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def connect(server: LiveServer, *, key: str | None = None, admin_key: str | None = None) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key or "none", admin_api_key=admin_key, max_retries=0)


@pytest.fixture(scope="module")
def admin_key(live_server: LiveServer) -> str:
    return run(live_server, "admin-keys", "create")


@pytest.fixture(scope="module")
def admin(live_server: LiveServer, admin_key: str) -> Iterator[OpenAI]:
    with connect(live_server, admin_key=admin_key) as client:
        yield client


def refused_within_a_second(client: OpenAI) -> openai.APIStatusError:
    """What a key that has just been stopped is answered."""
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        try:
            client.models.list()
        except openai.APIStatusError as error:
            return error
        time.sleep(0.05)
    raise AssertionError("the key still works")


def test_project_lives_from_creation_to_its_archive(admin: OpenAI, live_server: LiveServer) -> None:
    projects = admin.admin.organization.projects
    made = projects.create(name="search")
    assert (made.object, made.name, made.status) == ("organization.project", "search", "active")
    assert projects.retrieve(made.id) == made
    assert projects.update(made.id, name="search é").name == "search é"
    account = projects.service_accounts.create(made.id, name="indexer")
    assert account.api_key is not None
    with connect(live_server, key=account.api_key.value) as program:
        assert program.models.list().data
        archived = projects.archive(made.id)
        assert archived.status == "archived"
        assert archived.archived_at is not None
        assert refused_within_a_second(program).status_code == 401
    assert made.id not in [project.id for project in projects.list(limit=100)]
    assert made.id in [project.id for project in projects.list(limit=100, include_archived=True)]
    with pytest.raises(openai.ConflictError) as over:
        projects.update(made.id, name="other")
    assert over.value.code == "project_archived"


def test_every_list_is_paged_through_to_its_end(admin: OpenAI) -> None:
    organization = admin.admin.organization
    project = organization.projects.create(name="pages").id
    names = [f"program {number}" for number in range(7)]
    for name in names:
        organization.projects.service_accounts.create(project, name=name)
    accounts = organization.projects.service_accounts.list(project, limit=2)
    assert [account.name for account in accounts] == names
    keys = list(organization.projects.api_keys.list(project, limit=3))
    assert [key.owner.service_account and key.owner.service_account.name for key in keys] == names
    organization.admin_api_keys.create(name="second")
    for order in ("asc", "desc"):
        admin_keys = list(organization.admin_api_keys.list(limit=1, order=order))
        assert len({key.id for key in admin_keys}) == len(admin_keys) >= 2
    log = list(organization.audit_logs.list(limit=4, project_ids=[project]))
    assert len(log) == 15
    assert [entry.id for entry in log] == sorted((entry.id for entry in log), reverse=True)


def test_what_is_paged_through_may_be_deleted_on_the_way(admin: OpenAI) -> None:
    accounts = admin.admin.organization.projects.service_accounts
    project = admin.admin.organization.projects.create(name="clearing").id
    for number in range(5):
        accounts.create(project, name=str(number))
    for account in accounts.list(project, limit=2):
        assert accounts.delete(account.id, project_id=project).deleted
    assert list(accounts.list(project)) == []


def test_invited_person_comes_in_and_gets_a_key(admin: OpenAI, live_server: LiveServer) -> None:
    organization = admin.admin.organization
    project = organization.projects.create(name="people")
    invite = organization.invites.create(
        email="Uma@example.com", role="reader", projects=[{"id": project.id, "role": "member"}]
    )
    assert (invite.status, invite.role, invite.projects[0].role) == ("pending", "reader", "member")
    assert organization.invites.retrieve(invite.id) == invite
    user_id = run(live_server, "users", "accept", "uma@example.com", "--name", "Uma")
    assert organization.invites.retrieve(invite.id).status == "accepted"
    user = organization.users.retrieve(user_id)
    assert (user.object, user.email, user.name) == ("organization.user", "Uma@example.com", "Uma")
    assert [found.id for found in organization.users.list(emails=["UMA@example.com"])] == [user_id]
    assert organization.users.update(user_id, role="owner").role == "owner"
    member = organization.projects.users.retrieve(user_id, project_id=project.id)
    assert (member.object, member.role) == ("organization.project.user", "member")
    secret = run(live_server, "users", "create-key", "uma@example.com", "--project", project.id)
    listed = organization.projects.api_keys.list(project.id).data[0]
    assert (listed.owner.type, listed.owner.user and listed.owner.user.id) == ("user", user_id)
    assert listed.owner_project_access == "active"
    with connect(live_server, key=secret) as ana:
        assert ana.models.list().data
        assert organization.projects.users.delete(user_id, project_id=project.id).deleted
        assert refused_within_a_second(ana).status_code == 401
    inactive = organization.projects.api_keys.list(project.id, owner_project_access="inactive").data
    assert [key.id for key in inactive] == [listed.id]
    assert organization.projects.users.create(project.id, role="owner", user_id=user_id).role == "owner"
    assert organization.projects.users.update(user_id, project_id=project.id, role="member").role == "member"
    assert [one.id for one in organization.projects.users.list(project.id)] == [user_id]
    assert organization.users.delete(user_id).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        organization.users.retrieve(user_id)
    assert gone.value.code == "user_not_found"


def test_open_invitation_is_taken_back(admin: OpenAI) -> None:
    invites = admin.admin.organization.invites
    invite = invites.create(email="bo@example.com", role="owner")
    assert invite.id in [found.id for found in invites.list(limit=1)]
    assert invites.delete(invite.id).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        invites.retrieve(invite.id)
    assert gone.value.code == "invite_not_found"


def test_service_account_has_keys_of_its_own(admin: OpenAI, live_server: LiveServer) -> None:
    projects = admin.admin.organization.projects
    project = projects.create(name="programs").id
    bare = projects.service_accounts.create(project, name="bare", create_service_account_only=True)
    assert (bare.role, bare.api_key) == ("none", None)
    account = projects.service_accounts.update(bare.id, project_id=project, name="nightly", role="member")
    assert (account.name, account.role) == ("nightly", "member")
    assert projects.service_accounts.retrieve(bare.id, project_id=project) == account
    key = projects.service_accounts.api_keys.create(
        bare.id, project_id=project, name="reader", scopes=["api.all.read"], expires_in_seconds=3600
    )
    assert (key.value[:3], key.expires_at) == ("tm-", key.created_at + 3600)
    with connect(live_server, key=key.value) as program:
        assert program.models.list().data
        with pytest.raises(openai.PermissionDeniedError):
            program.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}])
        shown = projects.api_keys.retrieve(key.id, project_id=project)
        assert key.value not in shown.to_json()
        assert shown.expires_at == key.expires_at
        assert projects.api_keys.delete(key.id, project_id=project).deleted
        assert refused_within_a_second(program).status_code == 401
    assert list(projects.api_keys.list(project)) == []


def test_admin_key_is_shown_once_and_stops_when_it_is_deleted(admin: OpenAI, live_server: LiveServer) -> None:
    keys = admin.admin.organization.admin_api_keys
    made = keys.create(name="short", expires_in_seconds=3600)
    assert made.value.startswith("tm-admin-")
    assert made.expires_at == made.created_at + 3600
    shown = keys.retrieve(made.id)
    assert made.value not in shown.to_json()
    with connect(live_server, admin_key=made.value) as other:
        assert other.admin.organization.projects.list().data
        assert keys.retrieve(made.id).last_used_at is not None
        assert keys.delete(made.id).deleted
        time.sleep(1)
        with pytest.raises(openai.AuthenticationError):
            other.admin.organization.projects.list()


def test_keys_of_one_plane_are_refused_on_the_other(
    admin: OpenAI, admin_key: str, live_server: LiveServer
) -> None:
    with connect(live_server, key=admin_key, admin_key=live_server.key) as crossed:
        with pytest.raises(openai.PermissionDeniedError) as project_key:
            crossed.admin.organization.projects.list()
        assert project_key.value.code == "admin_key_required"
        with pytest.raises(openai.PermissionDeniedError) as an_admin_key:
            crossed.models.list()
        assert an_admin_key.value.code == "project_key_required"


def test_audit_log_tells_who_did_what(admin: OpenAI, admin_key: str) -> None:
    organization = admin.admin.organization
    project = organization.projects.create(name="watched")
    organization.projects.archive(project.id)
    log = organization.audit_logs
    archived, created = log.list(resource_ids=[project.id]).data
    assert [archived.type, created.type] == ["project.archived", "project.created"]
    assert created.project is not None
    assert (created.project.id, created.project.name) == (project.id, "watched")
    assert created.project_created is not None
    assert created.project_created.data is not None
    assert created.project_created.data.name == "watched"
    assert created.actor is not None
    assert created.actor.api_key is not None
    key_id = created.actor.api_key.id
    by_key = log.list(actor_ids=[str(key_id)], event_types=["project.archived"], project_ids=[project.id])
    assert [entry.id for entry in by_key] == [archived.id]
    assert log.list(resource_ids=[project.id], before=created.id).data == [archived]
    moment = created.effective_at
    assert log.list(resource_ids=[project.id], effective_at={"gt": archived.effective_at}).data == []
    within = log.list(resource_ids=[project.id], effective_at={"gte": moment, "lte": archived.effective_at})
    assert len(within.data) == 2
    commands = log.list(event_types=["tenant.admin_api_key.created"], tenant_only=True).data
    assert commands[-1].actor is not None
    assert commands[-1].actor.type == "session"


def test_usage_and_costs_are_those_of_the_ledger(admin: OpenAI, sdk: OpenAI, live_server: LiveServer) -> None:
    made = sdk.completions.create(model="smollm2", prompt="One, two,", max_tokens=2)
    sdk.embeddings.create(model="minilm", input="a")
    assert made.usage is not None
    usage = admin.admin.organization.usage
    start = made.created - 86_400
    days = usage.completions(start_time=start, group_by=["model", "batch", "project_id", "api_key_id"])
    assert (days.object, days.has_more, days.next_page) == ("page", False, None)
    assert [(day.object, day.end_time - day.start_time) for day in days.data] == [("bucket", 86_400)] * 2
    found = [result for day in days.data for result in day.results]
    assert {result.object for result in found} == {"organization.usage.completions.result"}
    assert sum(getattr(result, "output_tokens", 0) for result in found) >= 2
    embedded = usage.embeddings(start_time=start, limit=1)
    assert embedded.has_more
    embedded = usage.embeddings(start_time=start, page=str(embedded.next_page))
    assert [result.object for day in embedded.data for result in day.results] == [
        "organization.usage.embeddings.result"
    ]
    minutes = usage.completions(start_time=made.created - 60, bucket_width="1m", limit=1440)
    assert any(minute.results for minute in minutes.data)
    costs = usage.costs(start_time=start, group_by=["line_item", "project_id"])
    amounts = [getattr(result, "amount", None) for day in costs.data for result in day.results]
    assert sum(amount.value for amount in amounts if amount) > 0
    assert {amount.currency for amount in amounts if amount} == {"usd"}


def test_spend_limit_and_alerts_are_set_and_removed(admin: OpenAI) -> None:
    organization = admin.admin.organization
    project = organization.projects.create(name="thrifty").id
    limit = organization.projects.spend_limit.update(
        project, currency="USD", interval="month", threshold_amount=5000
    )
    assert (limit.object, limit.threshold_amount) == ("project.spend_limit", 5000)
    assert organization.projects.spend_limit.retrieve(project) == limit
    assert organization.projects.spend_limit.delete(project).deleted
    assert (
        organization.spend_limit.update(
            currency="USD", interval="month", threshold_amount=10**9
        ).enforcement.status
        == "inactive"
    )
    assert organization.spend_limit.retrieve().threshold_amount == 10**9
    assert organization.spend_limit.delete().deleted
    for amount in (1, 2, 3):
        organization.spend_alerts.create(
            currency="USD",
            interval="month",
            threshold_amount=amount,
            notification_channel={"type": "email", "recipients": ["finance@example.com"]},
        )
    alerts = list(organization.spend_alerts.list(limit=2))
    assert [alert.threshold_amount for alert in alerts] == [1, 2, 3]
    changed = organization.spend_alerts.update(
        alerts[0].id,
        currency="USD",
        interval="month",
        threshold_amount=9,
        notification_channel={"type": "email", "recipients": ["cfo@example.com"], "subject_prefix": "!"},
    )
    assert organization.spend_alerts.retrieve(alerts[0].id) == changed
    for alert in alerts:
        assert organization.spend_alerts.delete(alert.id).deleted
    assert organization.projects.spend_alerts.list(project).data == []


def test_what_makes_no_sense_here_says_so(admin: OpenAI) -> None:
    organization = admin.admin.organization
    for ask in (
        organization.certificates.list,
        organization.groups.list,
        organization.roles.list,
        lambda: organization.usage.images(start_time=0),
        lambda: organization.certificates.delete("cert_1"),
        lambda: organization.projects.certificates.list("proj_1"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            ask()
        assert refused.value.code == "not_supported_here"

"""What becomes of a key with its owner and its project."""

import pytest

from tasks import keys, known_keys, memberships, project_keys, projects, service_accounts, users
from tasks.actor import OPERATOR
from tasks.errors import AuthenticationFailed, InvalidRequest, ProjectArchived
from tasks.roles import RIGHTS, Role

EMAIL = "ana@example.com"


@pytest.fixture
def project_id() -> str:
    return projects.create_project("acme").id


@pytest.fixture
def user_id(project_id: str) -> str:
    user = users.create_user(OPERATOR, EMAIL, "Ana", Role.VIEWER)
    memberships.add_member(OPERATOR, project_id, Role.DEVELOPER, user_id=user.id)
    return user.id


def scopes_of(secret: str) -> frozenset[str]:
    """As a process that has not seen the key for a second finds them."""
    known_keys._cache.clear()
    return keys.authenticate(secret).scopes


def test_users_key_is_good_for_what_its_owner_may_do_at_the_moment(project_id: str, user_id: str) -> None:
    secret = project_keys.create_user_key(OPERATOR, project_id, EMAIL, "key", None).secret
    assert scopes_of(secret) == {"read", "write"}
    memberships.set_member_role(OPERATOR, project_id, user_id, Role.VIEWER)
    assert scopes_of(secret) == {"read"}
    memberships.set_member_role(OPERATOR, project_id, user_id, Role.END_USER)
    assert scopes_of(secret) == RIGHTS[Role.END_USER]
    memberships.remove_member(OPERATOR, project_id, user_id)
    with pytest.raises(AuthenticationFailed):
        scopes_of(secret)


def test_deleted_users_key_stops(project_id: str, user_id: str) -> None:
    secret = project_keys.create_user_key(OPERATOR, project_id, EMAIL, "key", None).secret
    users.delete_user(OPERATOR, user_id)
    with pytest.raises(AuthenticationFailed):
        scopes_of(secret)
    again = users.create_user(OPERATOR, EMAIL, "Ana", Role.VIEWER)
    memberships.add_member(OPERATOR, project_id, Role.OWNER, user_id=again.id)
    with pytest.raises(AuthenticationFailed):
        scopes_of(secret)


def test_key_that_would_exceed_its_owners_role_is_refused(project_id: str, user_id: str) -> None:
    memberships.set_member_role(OPERATOR, project_id, user_id, Role.VIEWER)
    with pytest.raises(InvalidRequest, match="'write'") as refused:
        project_keys.create_user_key(OPERATOR, project_id, EMAIL, "key", ["read", "write"])
    assert (refused.value.param, refused.value.code) == ("scopes", "scope_exceeds_role")
    with pytest.raises(InvalidRequest, match="'fly'"):
        project_keys.create_user_key(OPERATOR, project_id, EMAIL, "key", ["fly"])
    memberships.remove_member(OPERATOR, project_id, user_id)
    with pytest.raises(InvalidRequest, match="no role"):
        project_keys.create_user_key(OPERATOR, project_id, EMAIL, "key", None)


def test_service_account_without_a_role_gets_no_key_and_a_deleted_ones_key_stops(project_id: str) -> None:
    bare, no_key = service_accounts.create_service_account(OPERATOR, project_id, "bare", bare=True)
    assert no_key is None
    with pytest.raises(InvalidRequest, match="no role"):
        service_accounts.create_service_account_key(OPERATOR, project_id, bare.id, None, None)
    account, key = service_accounts.create_service_account(OPERATOR, project_id, "program")
    assert key is not None
    assert scopes_of(key.secret) == {"read", "write"}
    service_accounts.update_service_account(OPERATOR, project_id, account.id, role=Role.VIEWER)
    assert scopes_of(key.secret) == {"read"}
    service_accounts.delete_service_account(OPERATOR, project_id, account.id)
    with pytest.raises(AuthenticationFailed):
        scopes_of(key.secret)


def test_archived_project_gets_nothing_new(project_id: str, user_id: str) -> None:
    projects.archive_project(OPERATOR, project_id)
    for attempt in (
        lambda: keys.create_key(project_id, "late"),
        lambda: project_keys.create_user_key(OPERATOR, project_id, EMAIL, "late", None),
        lambda: service_accounts.create_service_account(OPERATOR, project_id, "late"),
        lambda: memberships.set_member_role(OPERATOR, project_id, user_id, Role.OWNER),
        lambda: projects.rename_project(OPERATOR, project_id, "late"),
    ):
        with pytest.raises(ProjectArchived):
            attempt()


def test_archived_projects_keys_stop_and_its_name_is_free_for_another(project_id: str) -> None:
    secret = keys.create_key(project_id, "old").secret
    archived = projects.archive_project(OPERATOR, project_id)
    assert projects.archive_project(OPERATOR, project_id) == archived
    with pytest.raises(AuthenticationFailed):
        scopes_of(secret)
    assert projects.find_project("acme").id == project_id
    successor = projects.find_or_create_project("acme")
    assert successor.id != project_id
    assert projects.find_project("acme") == successor

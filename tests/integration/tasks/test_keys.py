"""API keys on a real Postgres."""

import pytest

from tasks import keys
from tasks.errors import AuthenticationFailed, PermissionDenied, ProjectNotFound
from tasks.projects import create_project
from tasks.scopes import Action


@pytest.fixture
def project_id() -> str:
    return create_project("acme").id


def test_a_key_is_good_for_everything_unless_it_says_otherwise(project_id: str) -> None:
    principal = keys.authenticate(keys.create_key(project_id, "all").secret)
    assert principal.scopes == {keys.READ, keys.WRITE}
    keys.demand(principal, keys.READ)
    keys.demand(principal, keys.WRITE)


@pytest.mark.parametrize(("scope", "other"), [(keys.READ, keys.WRITE), (keys.WRITE, keys.READ)])
def test_a_key_is_good_for_its_scopes_alone(project_id: str, scope: Action, other: Action) -> None:
    principal = keys.authenticate(keys.create_key(project_id, "some", [scope, scope]).secret)
    keys.demand(principal, scope)
    with pytest.raises(PermissionDenied, match=f"`{other}`"):
        keys.demand(principal, other)


def test_keys_are_listed_with_their_scopes(project_id: str) -> None:
    keys.create_key(project_id, "reader", [keys.READ])
    keys.create_key(project_id, "all")
    listed = {key.name: key.scopes for key in keys.list_keys(project_id)}
    assert listed == {"reader": ["read"], "all": ["read", "write"]}


def test_a_revoked_key_is_no_key(project_id: str) -> None:
    made = keys.create_key(project_id, "gone")
    keys.revoke_key(made.id)
    with pytest.raises(AuthenticationFailed):
        keys.authenticate(made.secret)


def test_a_key_for_no_project_is_refused() -> None:
    with pytest.raises(ProjectNotFound):
        keys.create_key("proj_none", "key")

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.roles import RIGHTS, Role, exceeding, may_grant, within

SCOPES = ("read", "write", "chat:write", "files:write", "jobs:read", "batches:read")


def test_a_role_leaves_of_a_scope_what_it_may_do_itself() -> None:
    assert within(Role.VIEWER, ["read", "write"]) == {"read"}
    assert within(Role.VIEWER, ["jobs:read", "chat:write"]) == {"jobs:read"}
    assert within(Role.END_USER, ["read"]) == {"jobs:read", "models:read"}
    assert within(Role.END_USER, ["chat:write", "files:write"]) == {"chat:write"}


@given(st.sampled_from(Role), st.sets(st.sampled_from(SCOPES)))
def test_what_is_left_exceeds_neither_the_role_nor_the_key(role: Role, scopes: set[str]) -> None:
    left = within(role, scopes)
    assert exceeding(role, left) == []
    assert all(scope in scopes or scope.rpartition(":")[2] in scopes for scope in left)


@pytest.mark.parametrize("role", Role)
def test_every_role_has_rights_that_are_its_own(role: Role) -> None:
    assert within(role, ["read", "write"]) == RIGHTS[role]


def test_only_owners_have_a_say_over_owners() -> None:
    assert may_grant(Role.OWNER, Role.OWNER)
    assert may_grant(Role.ADMIN, Role.ADMIN)
    assert not may_grant(Role.ADMIN, Role.OWNER)
    assert not any(may_grant(Role.DEVELOPER, role) for role in Role)

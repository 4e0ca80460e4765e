import pytest

from tasks.errors import InvalidRequest
from tasks.scopes import SCOPES, SCOPES_OF_ROLES, Action, allows, checked
from web.app import create_app
from web.auth import PUBLIC_BLUEPRINTS, RESOURCES


@pytest.mark.parametrize(
    ("scopes", "resource", "action", "allowed"),
    [
        ({"read"}, "chat", "read", True),
        ({"read"}, "chat", "write", False),
        ({"chat:write"}, "chat", "write", True),
        ({"chat:write"}, "chat", "read", False),
        ({"chat:write"}, "files", "write", False),
        ({"chat:write"}, None, "write", False),
        ({"write"}, None, "write", True),
        (set(), "models", "read", False),
    ],
)
def test_scope_covers_its_own_resource_and_a_wildcard_every_one(
    scopes: set[str], resource: str | None, action: Action, allowed: bool
) -> None:
    assert allows(frozenset(scopes), resource, action) is allowed


@pytest.mark.parametrize("scopes", [["admin"], ["chat:*"], ["*"], ["chat:delete"], ["Read"], []])
def test_scope_that_does_not_exist_is_refused(scopes: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(scopes)
    assert refused.value.param == "scopes"


def test_roles_have_real_scopes() -> None:
    assert {scope for scopes in SCOPES_OF_ROLES.values() for scope in scopes} <= set(SCOPES)


def test_every_blueprint_is_public_or_has_its_resource() -> None:
    blueprints = set(create_app().blueprints) - PUBLIC_BLUEPRINTS
    assert set(RESOURCES) <= blueprints
    assert {f"{resource}:write" for resource in RESOURCES.values()} - set(SCOPES) == {"models:write"}

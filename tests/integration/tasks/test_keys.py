"""API keys on a real Postgres."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from time import monotonic, sleep

import pytest
from sqlalchemy import func, update

from tasks import key_uses, keys, known_keys
from tasks.db import transaction
from tasks.errors import (
    AuthenticationFailed,
    InvalidRequest,
    KeyNotFound,
    ModelNotAllowed,
    PermissionDenied,
    ProjectNotFound,
    UnknownModelRequested,
)
from tasks.keys import KeyTerms
from tasks.models import ApiKey
from tasks.principal import demand_model
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


def test_a_revoked_key_that_a_process_remembers_stops_within_a_second(project_id: str) -> None:
    made = keys.create_key(project_id, "gone")
    keys.authenticate(made.secret)
    keys.revoke_key(made.id)
    until = monotonic() + known_keys.CACHE_SECONDS
    while monotonic() < until:
        sleep(0.05)
    with pytest.raises(AuthenticationFailed):
        keys.authenticate(made.secret)


def test_a_remembered_key_asks_the_database_nothing(project_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.create_key(project_id, "busy")
    keys.authenticate(made.secret)
    monkeypatch.setattr(known_keys, "_look_up", lambda prefix: pytest.fail("asked"))
    assert keys.authenticate(made.secret).api_key_id == made.id


def test_wrong_keys_are_all_refused_alike(project_id: str) -> None:
    made = keys.create_key(project_id, "mine")
    prefix = made.secret[: known_keys.PREFIX_LENGTH]
    known = keys.list_keys(project_id)[0].prefix
    assert prefix == known
    for token in (
        prefix,
        f"{prefix}-guess",
        made.secret + "x",
        made.secret[:-1],
        "tm-000000000000-x",
        "\x00",
    ):
        with pytest.raises(AuthenticationFailed) as refused:
            keys.authenticate(token)
        assert (refused.value.code, refused.value.message) == (
            "invalid_api_key",
            "The API key is missing or not valid.",
        )


def test_an_expired_key_says_so_to_whoever_holds_it_alone(project_id: str) -> None:
    made = keys.create_key(
        project_id, "brief", terms=KeyTerms(expires_at=datetime.now(UTC) + timedelta(hours=1))
    )
    keys.authenticate(made.secret)
    with transaction() as connection:
        connection.execute(update(ApiKey).values(expires_at=func.now()))
    known_keys._cache.clear()
    with pytest.raises(AuthenticationFailed) as refused:
        keys.authenticate(made.secret)
    assert refused.value.code == "api_key_expired"
    with pytest.raises(AuthenticationFailed) as refused:
        keys.authenticate(made.secret + "x")
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(InvalidRequest, match="expired"):
        keys.rotate_key(made.id)


def test_a_rotated_key_has_two_secrets_for_as_long_as_they_overlap(project_id: str) -> None:
    first = keys.create_key(project_id, "turning")
    second = keys.rotate_key(first.id, overlap_seconds=0.5)
    known_keys._cache.clear()
    assert {keys.authenticate(made.secret).api_key_id for made in (first, second)} == {first.id}
    assert second.secret[: known_keys.PREFIX_LENGTH] == first.secret[: known_keys.PREFIX_LENGTH]
    sleep(0.55)
    known_keys._cache.clear()
    with pytest.raises(AuthenticationFailed):
        keys.authenticate(first.secret)
    assert keys.authenticate(second.secret).api_key_id == first.id


def test_a_key_rotated_twice_forgets_the_oldest_secret(project_id: str) -> None:
    first = keys.create_key(project_id, "turning")
    second = keys.rotate_key(first.id)
    third = keys.rotate_key(first.id)
    with pytest.raises(AuthenticationFailed):
        keys.authenticate(first.secret)
    assert keys.authenticate(second.secret) == keys.authenticate(third.secret)


def test_a_key_that_is_gone_is_not_rotated(project_id: str) -> None:
    made = keys.create_key(project_id, "gone")
    keys.revoke_key(made.id)
    for key_id in (made.id, "key_none"):
        with pytest.raises(KeyNotFound):
            keys.rotate_key(key_id)
    with pytest.raises(InvalidRequest, match="overlap"):
        keys.rotate_key(made.id, overlap_seconds=-1)


def test_a_key_is_good_for_its_models_by_their_names(project_id: str) -> None:
    made = keys.create_key(project_id, "chats", terms=KeyTerms(models=["smollm2"]))
    principal = keys.authenticate(made.secret)
    demand_model(principal.models, "smollm2-135m-instruct")
    with pytest.raises(ModelNotAllowed):
        demand_model(principal.models, "all-minilm-l6-v2")
    assert keys.models_of(made.id) == {"smollm2-135m-instruct"}
    with pytest.raises(UnknownModelRequested):
        keys.create_key(project_id, "chats", terms=KeyTerms(models=["gpt-9"]))


def test_a_key_keeps_its_networks(project_id: str) -> None:
    made = keys.create_key(project_id, "office", terms=KeyTerms(networks=["10.1.2.3/8", "::1"]))
    assert keys.authenticate(made.secret).networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    for networks in (["10.0.0.0/99"], []):
        with pytest.raises(InvalidRequest) as refused:
            keys.create_key(project_id, "office", terms=KeyTerms(networks=networks))
        assert refused.value.param == "networks"


@pytest.mark.parametrize("name", ["", "a\r\nX-Admin: 1", "a\x1b[2J", "a\x00", "x" * 201])
def test_a_name_with_control_characters_is_refused(project_id: str, name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        keys.create_key(project_id, name)
    assert refused.value.param == "name"


def test_a_scope_that_does_not_exist_is_refused(project_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        keys.create_key(project_id, "all", ["chat:write", "organization:write"])
    assert refused.value.param == "scopes"


def test_last_use_is_noted_once_a_minute(project_id: str) -> None:
    made = keys.create_key(project_id, "busy")
    assert keys.list_keys(project_id)[0].last_used_at is None
    keys.authenticate(made.secret)
    key_uses._writer().submit(int).result()
    noted = keys.list_keys(project_id)[0].last_used_at
    assert noted is not None
    key_uses.note_soon(made.id).result()
    assert keys.list_keys(project_id)[0].last_used_at == noted


def test_a_key_that_must_sign_is_refused_by_itself(project_id: str) -> None:
    made = keys.create_key(project_id, "signer", terms=KeyTerms(must_sign=True))
    with pytest.raises(AuthenticationFailed) as refused:
        keys.authenticate(made.secret)
    assert refused.value.code == "signature_required"
    with pytest.raises(AuthenticationFailed) as refused:
        keys.authenticate(made.secret[: known_keys.PREFIX_LENGTH])
    assert refused.value.code == "invalid_api_key"


def test_a_secret_is_in_no_representation(project_id: str) -> None:
    made = keys.create_key(project_id, "shy")
    assert made.secret not in repr(made)
    known = known_keys.find(made.secret[: known_keys.PREFIX_LENGTH])
    assert known is not None
    assert repr(known.secrets_sha256[0]) not in repr(known)


def test_a_key_for_no_project_is_refused() -> None:
    with pytest.raises(ProjectNotFound):
        keys.create_key("proj_none", "key")

"""Keys of the admin plane on a real Postgres."""

from datetime import timedelta

import pytest
from sqlalchemy import func, update

from tasks import admin_keys, invites, users
from tasks.actor import OPERATOR, Actor
from tasks.db import transaction
from tasks.errors import AuthenticationFailed, InvalidRequest, PermissionDenied
from tasks.models import AdminKey
from tasks.roles import Role

EMAIL = "ana@example.com"


def ask(secret: str) -> Actor:
    """As a process that has not seen the key for a second."""
    admin_keys._cache.clear()
    return admin_keys.authenticate(secret)


@pytest.fixture
def user_id() -> str:
    return users.create_user(OPERATOR, EMAIL, "Ana", Role.ADMIN).id


def test_operators_key_is_an_owners() -> None:
    key, secret = admin_keys.create_admin_key(OPERATOR, "first")
    actor = ask(secret)
    assert (actor.id, actor.user_id, actor.role) == (key.id, None, Role.OWNER)
    assert actor.organization_id is not None


def test_almost_the_secret_is_not_the_secret() -> None:
    _, secret = admin_keys.create_admin_key(OPERATOR, "first")
    for wrong in (secret[:-1], secret + "x", secret[:20], "tm-admin-\x00", "tm-admin-"):
        with pytest.raises(AuthenticationFailed):
            ask(wrong)


def test_revoked_key_and_one_that_has_expired_are_no_keys() -> None:
    revoked, revoked_secret = admin_keys.create_admin_key(OPERATOR, "revoked")
    expired, expired_secret = admin_keys.create_admin_key(OPERATOR, "expired", 60)
    assert ask(expired_secret).id == expired.id
    admin_keys.revoke_admin_key(OPERATOR, revoked.id)
    with transaction() as connection:
        connection.execute(update(AdminKey).values(expires_at=func.now() - timedelta(seconds=1)))
    for secret in (revoked_secret, expired_secret):
        with pytest.raises(AuthenticationFailed):
            ask(secret)


def test_key_of_whoever_no_longer_keeps_the_organization_stops(user_id: str) -> None:
    _, secret = admin_keys.create_admin_key_for(OPERATOR, EMAIL, "key")
    assert (ask(secret).user_id, ask(secret).role) == (user_id, Role.ADMIN)
    users.set_role(OPERATOR, user_id, Role.DEVELOPER)
    with pytest.raises(AuthenticationFailed):
        ask(secret)
    with pytest.raises(InvalidRequest):
        admin_keys.create_admin_key_for(OPERATOR, EMAIL, "key")
    users.set_role(OPERATOR, user_id, Role.OWNER)
    assert ask(secret).role is Role.OWNER
    users.delete_user(OPERATOR, user_id)
    with pytest.raises(AuthenticationFailed):
        ask(secret)


def test_admin_has_no_say_over_owners(user_id: str) -> None:
    _, secret = admin_keys.create_admin_key_for(OPERATOR, EMAIL, "key")
    admin = ask(secret)
    owners, _ = admin_keys.create_admin_key(OPERATOR, "owner's")
    owner = users.create_user(OPERATOR, "bo@example.com", "Bo", Role.OWNER)
    for attempt in (
        lambda: users.set_role(admin, user_id, Role.OWNER),
        lambda: users.set_role(admin, owner.id, Role.VIEWER),
        lambda: users.delete_user(admin, owner.id),
        lambda: invites.invite(admin, "cy@example.com", Role.OWNER),
        lambda: admin_keys.revoke_admin_key(admin, owners.id),
    ):
        with pytest.raises(PermissionDenied) as refused:
            attempt()
        assert refused.value.code == "insufficient_role"
    mine, _ = admin_keys.create_admin_key(admin, "mine")
    assert mine.user_id == user_id
    admin_keys.revoke_admin_key(admin, mine.id)

"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from tasks import sealing
from tasks.errors import SecretUnreadable
from tasks.settings import settings
from tests.unit.tasks.conftest import Configure


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_secret_is_kept_as_it_is_without_a_key(configure: Configure) -> None:
    configure()
    assert b"whsec_1" in sealing.seal("whsec_1")
    assert sealing.unseal(sealing.seal("whsec_1")) == "whsec_1"


def test_secret_is_encrypted_where_there_is_a_key(configure: Configure) -> None:
    configure(encryption_keys=new_key())
    sealed = sealing.seal("whsec_1")
    assert b"whsec_1" not in sealed
    assert sealed != sealing.seal("whsec_1")
    assert sealing.unseal(sealed) == "whsec_1"


def test_secret_from_before_there_was_a_key_is_still_read(configure: Configure) -> None:
    configure()
    sealed = sealing.seal("whsec_1")
    configure(encryption_keys=new_key())
    assert sealing.unseal(sealed) == "whsec_1"


def test_keys_are_changed_one_after_the_other(configure: Configure) -> None:
    old, new = new_key(), new_key()
    configure(encryption_keys=old)
    sealed = sealing.seal("whsec_1")
    configure(encryption_keys=f"{new}, {old}")
    assert sealing.unseal(sealed) == "whsec_1"
    sealed_anew = sealing.seal("whsec_1")
    configure(encryption_keys=new)
    assert sealing.unseal(sealed_anew) == "whsec_1"
    with pytest.raises(SecretUnreadable):
        sealing.unseal(sealed)


def test_encrypted_secret_is_unreadable_once_the_key_is_gone(configure: Configure) -> None:
    configure(encryption_keys=new_key())
    sealed = sealing.seal("whsec_1")
    configure(encryption_keys="")
    with pytest.raises(SecretUnreadable):
        sealing.unseal(sealed)


def test_wrong_key_is_refused_at_start_and_not_shown(configure: Configure) -> None:
    configure(encryption_keys="not-a-key-of-32-bytes")
    with pytest.raises(ValidationError, match="32 bytes") as refused:
        settings()
    assert "not-a-key-of" not in str(refused.value)

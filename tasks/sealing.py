"""Secrets that must be read again, such as those that sign: encrypted where the operator gives a key.

With ``TOKENMILL_ENCRYPTION_KEYS`` a secret is encrypted and authenticated (Fernet) by the first key and
opened by whichever fits, so that keys can be changed one after the other. Without it a secret lies in the
database as it is, protected as everything else there; it is encrypted once it is next written.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tasks.errors import SecretUnreadable
from tasks.settings import settings

_PLAIN, _ENCRYPTED = b"plain:", b"fernet:"


def seal(secret: str) -> bytes:
    """As it may be kept."""
    keys = _keys()
    if keys is None:
        return _PLAIN + secret.encode()
    return _ENCRYPTED + keys.encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """What was sealed. Raises SecretUnreadable."""
    if sealed.startswith(_PLAIN):
        return sealed.removeprefix(_PLAIN).decode()
    keys = _keys()
    if keys is None:
        raise SecretUnreadable
    try:
        return keys.decrypt(sealed.removeprefix(_ENCRYPTED)).decode()
    except InvalidToken:
        raise SecretUnreadable from None


def _keys() -> MultiFernet | None:
    keys = settings().secret_keys()
    return MultiFernet([Fernet(key) for key in keys]) if keys else None

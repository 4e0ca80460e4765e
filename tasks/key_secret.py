"""The secret of a key: 256 random bits behind a prefix that finds it, kept as a hash."""

import hashlib
import secrets
from dataclasses import dataclass

PROJECT_KEY = "tm-"
PREFIX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A new secret; ``text`` is shown once and can't be recovered."""

    prefix: str
    text: str

    @property
    def sha256(self) -> bytes:
        return digest(self.text)


def new_secret(kind: str) -> KeySecret:
    """One that begins with ``kind``, such as ``tm-admin-``."""
    return secret_behind(kind + secrets.token_hex(PREFIX_DIGITS // 2))


def secret_behind(prefix: str) -> KeySecret:
    """A new one for the key that this prefix finds."""
    return KeySecret(prefix, f"{prefix}-{secrets.token_urlsafe(32)}")


def prefix_of(text: str, kind: str) -> str | None:
    """What finds the key; None for what no key of that kind looks like."""
    prefix = text[: len(kind) + PREFIX_DIGITS]
    # Postgres refuses NUL in text, and a real prefix is ASCII.
    return prefix if prefix.startswith(kind) and prefix.isascii() and prefix.isprintable() else None


def digest(text: str) -> bytes:
    """SHA-256 is enough: the secret is random, so there is nothing to guess faster."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()

"""Identifiers: a prefix that tells what it names, then a UUID of version 7, so they sort by time."""

from uuid_utils import uuid7


def new_id(prefix: str) -> str:
    """``prefix_`` and 32 hexadecimal digits, later ones greater (RFC 9562, section 5.7)."""
    return f"{prefix}_{uuid7().hex}"

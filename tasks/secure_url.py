"""URLs from which what decides over access may come."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_secure(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: HTTPS, or this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username or parts.password:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def checked_url(url: str) -> str:
    """Raises ValueError."""
    if not is_secure(url):
        raise ValueError("must be an https:// URL (or http:// on this machine)")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

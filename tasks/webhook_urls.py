"""Addresses that webhooks may be sent to, as far as the address itself tells."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from tasks.settings import settings
from tasks.webhook_addresses import is_public

MAX_LENGTH = 2048
_PORTS = {"http": 80, "https": 443}
# Below it are the ports of mail, shells and the like, which a webhook has nothing to say to.
_FIRST_FREE_PORT = 1024
_PRINTABLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Target:
    """An address in the parts that a connection needs, so that nothing parses it another way."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """The parts of an address that may be sent to. Raises ValueError, which says what is wrong."""
    if len(url) > MAX_LENGTH or not _PRINTABLE.fullmatch(url):
        raise ValueError(
            f"must be at most {MAX_LENGTH} printable ASCII characters, without spaces or backslashes"
        )
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme != "https" and not (scheme == "http" and settings().webhook_allow_http):
        raise ValueError("must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if "#" in url:
        raise ValueError("must not have a fragment")
    host = _host(parts.hostname or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, host, _port(parts.netloc, _PORTS[scheme]), path)


def _host(host: str) -> str:
    if _is_address(host):
        if not (settings().webhook_allow_private_addresses or is_public(host)):
            raise ValueError("must not lead to an address that is not public")
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError("must name a host")
    return host


def _port(netloc: str, default: int) -> int:
    _, colon, written = netloc.rpartition("]")[2].partition(":")
    if not colon:
        return default
    port = int(written) if written.isdecimal() and len(written) <= len("65535") else 0
    if not 0 < port <= 65535:
        raise ValueError("must have a port from 1 to 65535, or none")
    allowed = port in _PORTS.values() or port >= _FIRST_FREE_PORT
    if not (allowed or settings().webhook_allow_private_addresses):
        raise ValueError(f"must use port 80, 443, or one from {_FIRST_FREE_PORT} up")
    return port


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

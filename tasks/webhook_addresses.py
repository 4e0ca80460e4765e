"""Which addresses of the network a webhook may go to: those of the public internet alone."""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Every address of IPv6 that was ever given out for public use lies here.
_GIVEN_OUT = IPv6Network("2000::/3")
# What Python's tables call global in one version or another: protocol assignments, relays, documentation.
_NOT_FOR_US = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NOT_FOR_US_V6 = (IPv6Network("2001::/23"), IPv6Network("3fff::/20"))

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system finds them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether it is a machine of the public internet's: no private, local, shared or group address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        return _is_public_v6(parsed)
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    special = address.is_multicast or address.is_reserved or any(address in one for one in _NOT_FOR_US)
    return address.is_global and not special


def _is_public_v6(address: IPv6Address) -> bool:
    """None that hides an IPv4 address: those lead past what is forbidden for IPv4."""
    hides_another = address.ipv4_mapped or address.sixtofour or address.teredo
    special = hides_another is not None or any(address in one for one in _NOT_FOR_US_V6)
    return address in _GIVEN_OUT and address.is_global and not special

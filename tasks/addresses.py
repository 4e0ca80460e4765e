"""Addresses of clients: the networks a key may be used from, and who a request is from."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from tasks.errors import InvalidRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PRIVATE_NETWORKS = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""This machine, and those that no router of the internet leads to."""

_MOST_NETWORKS = 100


def parse_address(text: str | None) -> Address | None:
    """None for what is no address. IPv4 dressed as IPv6 is IPv4."""
    try:
        address = ip_address((text or "").strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_networks(texts: Iterable[str], *, param: str) -> tuple[Network, ...]:
    """Networks in CIDR notation; an address alone is a network of one. Raises InvalidRequest."""
    networks = tuple(dict.fromkeys(_network(text.strip(), param) for text in texts))
    if len(networks) > _MOST_NETWORKS:
        raise InvalidRequest(f"There may be at most {_MOST_NETWORKS} networks.", param=param)
    return networks


def listed_networks(text: str, *, param: str) -> tuple[Network, ...]:
    """Networks of a list with commas, which may be empty. Raises InvalidRequest."""
    return parse_networks([part for part in text.split(",") if part.strip()], param=param)


def among(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether an address, if there is one, is in any of the networks."""
    return address is not None and any(address in network for network in networks)


def client_address(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> Address | None:
    """Who sent a request: the last one on its way here that is not a trusted proxy.

    ``forwarded_for`` is what `X-Forwarded-For` says, the oldest first. What stands before the first
    stranger is the stranger's word, so it counts for nothing.
    """
    address = parse_address(peer)
    for earlier in reversed(forwarded_for):
        if not among(address, trusted):
            break
        address = parse_address(earlier)
    return address


def _network(text: str, param: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is not an address or a network such as 10.0.0.0/8.", param=param
        ) from None

"""Where a request comes from, seen past the proxies that are trusted."""

from functools import cache

from flask import request

from tasks import addresses
from tasks.addresses import Address, Network
from tasks.settings import settings


def client_address() -> Address | None:
    """The address of who sent the request being served; None where it has none."""
    forwarded_for = ",".join(request.headers.getlist("X-Forwarded-For"))
    return addresses.client_address(
        request.remote_addr,
        forwarded_for.split(",") if forwarded_for else (),
        _trusted(settings().trusted_proxies),
    )


@cache
def _trusted(networks: str) -> tuple[Network, ...]:
    """Read once: every request asks."""
    return addresses.listed_networks(networks, param="trusted_proxies")

import socket

import pytest

from web.server import bind, url_of


def test_port_zero_finds_a_free_one_and_the_url_tells_which() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_wildcard_address_is_shown_as_one_that_can_be_reached() -> None:
    with bind("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_port_in_use_is_noticed_before_anything_starts() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_url_of_an_ipv6_address_is_bracketed() -> None:
    try:
        listener = bind("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert listener.family == socket.AF_INET6
        assert url_of(listener).startswith("http://[::1]:")

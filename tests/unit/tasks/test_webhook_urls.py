"""Addresses that webhooks may be sent to, as far as the address tells."""

import pytest

from tasks.webhook_urls import Target, parse
from tests.unit.tasks.conftest import Configure


def test_address_comes_apart_into_what_a_connection_needs() -> None:
    assert parse("https://hooks.example.com/a/b?c=d") == Target("https", "hooks.example.com", 443, "/a/b?c=d")
    assert parse("HTTPS://Hooks.Example.com:8443") == Target("https", "hooks.example.com", 8443, "/")
    assert parse("https://[2606:4700::1111]:8443/").host_header == "[2606:4700::1111]:8443"
    assert parse("https://hooks.example.com/").host_header == "hooks.example.com"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("example.com", "https"),
        ("https://user:password@example.com/", "user name"),
        ("https://example.com@10.0.0.1/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https:///path", "host"),
        ("https://exa mple.com/", "printable"),
        ("https://example.com\\@10.0.0.1/", "printable"),
        ("https://example.com/\r\nHost: other", "printable"),
        ("https://exämple.com/", "printable"),
        ("https://example.com/" + "a" * 2048, "at most"),
        ("https://example.com:0/", "port"),
        ("https://example.com:99999/", "port"),
        ("https://example.com:/", "port"),
        ("https://example.com:22/", "port"),
        ("https://example.com:25/", "port"),
        ("https://127.0.0.1/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://[fe80::1%25eth0]/", "host|not public"),
        ("https://[nonsense]/", "."),
    ],
)
def test_address_that_is_not_allowed_is_refused_with_its_reason(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse(url)


def test_operator_may_allow_plain_http(configure: Configure) -> None:
    configure(webhook_allow_http="true")
    assert parse("http://example.com/") == Target("http", "example.com", 80, "/")
    with pytest.raises(ValueError, match="not public"):
        parse("http://10.0.0.1/")


def test_operator_may_allow_addresses_and_ports_of_the_own_network(configure: Configure) -> None:
    configure(webhook_allow_private_addresses="true")
    assert parse("https://10.0.0.1:444/").port == 444
    with pytest.raises(ValueError, match="https"):
        parse("http://10.0.0.1/")

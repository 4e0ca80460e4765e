import pytest

from tasks.addresses import among, client_address, listed_networks, parse_address, parse_networks
from tasks.errors import InvalidRequest

PROXIES = listed_networks("10.0.0.0/8, ::1", param="trusted_proxies")


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("nobody", False),
        (None, False),
    ],
)
def test_address_is_in_a_network_or_not(text: str | None, inside: bool) -> None:
    networks = parse_networks(["192.0.2.0/24", "2001:db8::/32"], param="networks")
    assert among(parse_address(text), networks) is inside


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "here", "10.0.0.1-10.0.0.9"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_networks([text], param="networks")
    assert refused.value.param == "networks"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "seen"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["10.1.1.1"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1", "junk"], None),
        ("::1", ["192.0.2.1"], "192.0.2.1"),
        ("", ["192.0.2.1"], None),
    ],
)
def test_only_trusted_proxies_say_who_sent_a_request(
    peer: str, forwarded_for: list[str], seen: str | None
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == parse_address(seen)

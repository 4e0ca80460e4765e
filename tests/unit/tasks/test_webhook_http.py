"""One request to a receiver, as it is sent, and as it is refused."""

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tasks.webhook_http import Attempt, Sender
from tasks.webhook_urls import Target, parse
from tests.unit.tasks.conftest import Configure
from tests.unit.tasks.webhook_receiver import Received, Receiver, receiving, status

HEADERS = {"webhook-id": "evt_1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def allowed(configure: Configure) -> None:
    """As an operator sets it who wants webhooks in the own network."""
    configure(webhook_allow_http="true", webhook_allow_private_addresses="true", webhook_timeout_seconds=1)


def send(url: str, sender: Sender | None = None) -> Attempt:
    return (sender or Sender()).send(parse(url), '{"a":1}', HEADERS)


@pytest.mark.usefixtures("allowed")
def test_body_and_headers_arrive_as_they_are(receiver: Receiver) -> None:
    attempt = send(receiver.url)
    assert (attempt.status_code, attempt.error, attempt.delivered) == (204, None, True)
    (received,) = receiver.received
    assert (received.path, received.body, received.event_id) == ("/hook", '{"a":1}', "evt_1")
    assert received.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["Content-Type"] == "application/json"


@pytest.mark.usefixtures("allowed")
def test_wrong_answer_is_quoted_in_a_few_words(receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(500)
        handler.end_headers()
        handler.wfile.write(b"out of\x00 luck\n" + b"x" * 10_000)

    receiver.answers = [answer]
    attempt = send(receiver.url)
    assert attempt.status_code == 500
    assert attempt.error is not None
    assert attempt.error.startswith("It answered 500: out of  luck xxx")
    assert len(attempt.error) < 300


@pytest.mark.usefixtures("allowed")
def test_endless_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65_536)

    receiver.answers = [answer]
    begun = time.monotonic()
    assert send(receiver.url).delivered
    assert time.monotonic() - begun < 0.9


@pytest.mark.usefixtures("allowed")
def test_receiver_that_trickles_its_answer_is_given_up_in_time(receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            handler.wfile.write(b"X-%d: y\r\n" % number)
            time.sleep(0.05)

    receiver.answers = [answer]
    begun = time.monotonic()
    attempt = send(receiver.url)
    assert (attempt.status_code, attempt.error) == (None, "There was no answer within 1 s.")
    assert 0.9 < time.monotonic() - begun < 3


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver: Receiver, code: int) -> None:
    receiver.answers = [status(code, Location=f"http://127.0.0.1:{receiver.port}/inside")]
    attempt = send(receiver.url)
    assert attempt.error == f"It answered {code}; redirects are not followed."
    assert [received.path for received in receiver.received] == ["/hook"]


@pytest.mark.usefixtures("allowed")
def test_connection_that_is_refused_is_an_error_like_any_other() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        attempt = send(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert attempt.status_code is None
    assert attempt.error is not None
    assert "connection failed" in attempt.error


@pytest.mark.usefixtures("allowed")
def test_answer_that_is_not_http_is_an_error_like_any_other(receiver: Receiver) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.wfile.write(b"220 mail ready\r\n")

    receiver.answers = [answer]
    attempt = send(receiver.url)
    assert (attempt.status_code, attempt.delivered) == (None, False)


@pytest.mark.usefixtures("allowed")
def test_certificate_nobody_vouches_for_is_refused(receiver: Receiver) -> None:
    attempt = send(f"https://127.0.0.1:{receiver.port}/")
    assert not attempt.delivered
    assert receiver.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost"])
def test_private_address_is_not_connected_to_however_it_is_written(
    configure: Configure, receiver: Receiver, host: str
) -> None:
    configure(webhook_allow_http="true")
    attempt = Sender().send(Target("http", host, receiver.port, "/"), "{}", HEADERS)
    assert attempt.error == "The host's name leads to an address that is not public."
    assert receiver.received == []


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["10.0.0.1"]]
)
def test_name_that_leads_to_a_private_address_is_not_connected_to(
    configure: Configure, receiver: Receiver, found: list[str]
) -> None:
    configure(webhook_allow_http="true")
    sender = Sender(lambda host, port: found)
    attempt = send(f"http://hooks.example.com:{receiver.port}/", sender)
    assert attempt.error == "The host's name leads to an address that is not public."
    assert receiver.received == []


def test_name_is_looked_up_once_so_that_it_can_not_change_its_meaning(
    monkeypatch: pytest.MonkeyPatch, configure: Configure, receiver: Receiver
) -> None:
    """The name is public when it is checked and private when it is asked for again."""
    configure(webhook_allow_http="true", webhook_timeout_seconds=1)
    answers = [["127.0.0.1"], ["8.8.8.8"]]
    monkeypatch.setattr("tasks.webhook_http.is_public", lambda address: address == "8.8.8.8")
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    send(f"http://hooks.example.com:{receiver.port}/", Sender(lambda host, port: answers.pop()))
    assert connected == ["8.8.8.8"]
    assert answers == [["127.0.0.1"]]


@pytest.mark.usefixtures("allowed")
def test_host_keeps_its_name_though_its_number_is_connected_to(receiver: Receiver) -> None:
    sender = Sender(lambda host, port: ["127.0.0.1"])
    assert send(f"http://hooks.example.com:{receiver.port}/x", sender).delivered
    assert receiver.received[0].headers["Host"] == f"hooks.example.com:{receiver.port}"


@pytest.mark.usefixtures("allowed")
def test_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.2", receiver.port))
        sender = Sender(lambda host, port: ["127.0.0.2", "127.0.0.1"])
        assert send(f"http://hooks.example.com:{receiver.port}/", sender).delivered


def test_name_that_means_nothing_is_an_error_like_any_other() -> None:
    attempt = Sender().send(Target("https", "a..b", 443, "/"), "{}", HEADERS)
    assert attempt.error == "The host's name can't be resolved."


def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, allowed: None, receiver: Receiver
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert send(receiver.url).delivered

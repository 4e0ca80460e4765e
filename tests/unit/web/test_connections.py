"""Clients who take their time, against a worker of the server with few threads."""

import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, request
from gunicorn.config import Config

from tests.unit.web.conftest import Configure
from web import errors
from web.connections import PatientWorker
from web.server import DrainingWorker, QuietLogger, bind

THREADS = 3
CONNECTIONS = 40
GET = b"GET /hello HTTP/1.1\r\nHost: here\r\n\r\n"


class RunningWorker:
    """A worker without its master, and its clients."""

    def __init__(self, app: Flask) -> None:
        listener = bind("127.0.0.1", 0)
        self.address = listener.getsockname()
        config = Config()
        for name, value in {
            "threads": THREADS,
            "worker_connections": CONNECTIONS,
            "keepalive": 20,
            "graceful_timeout": 1,
            "worker_class": DrainingWorker,
            "logger_class": QuietLogger,
        }.items():
            config.set(name, value)
        self.worker: PatientWorker = DrainingWorker(
            0, os.getppid(), [listener], None, 30, config, QuietLogger(config)
        )
        self.worker.wsgi = app
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.poller = selectors.DefaultSelector()
        self.worker.method_queue.init()
        self._clients = ExitStack()
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()

    def client(self, sent: bytes = b"") -> socket.socket:
        made = self._clients.enter_context(socket.create_connection(self.address, timeout=10))
        made.sendall(sent)
        return made

    def ask(self, sent: bytes = GET) -> bytes:
        return answer_to(self.client(sent))

    def close(self) -> None:
        self._clients.close()
        self.worker.alive = False
        self.worker.method_queue.defer(lambda: None)
        self._thread.join(10)
        self.worker.tmp.close()


def answer_to(client: socket.socket) -> bytes:
    """One whole answer, and nothing of the next."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := client.recv(1)):
        head += byte
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = b""
    while length is not None and len(body) < int(length[1]):
        body += client.recv(int(length[1]) - len(body))
    return head + body


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(4096) == b""
    except ConnectionResetError:
        return True


def app() -> Flask:
    made = Flask(__name__)
    errors.install(made)
    made.add_url_rule("/hello", "hello", lambda: "hello\n")
    made.add_url_rule("/length", "length", lambda: f"{len(request.get_data())}\n", methods=["POST"])

    def endless() -> Iterable[str]:
        while True:
            yield "x" * 65_536

    made.add_url_rule("/endless", "endless", lambda: made.response_class(endless()))
    return made


Start = Callable[..., RunningWorker]


@pytest.fixture
def start(configure: Configure) -> Iterator[Start]:
    """Start a worker with these settings."""
    started: list[RunningWorker] = []

    def start_with(**values: Any) -> RunningWorker:
        configure(**values)
        started.append(RunningWorker(app()))
        return started[-1]

    yield start_with
    for running in started:
        running.close()


def post(body: bytes, length: int) -> bytes:
    return b"POST /length HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % length + body


def test_request_is_answered_however_it_is_cut_and_so_is_the_next(start: Start) -> None:
    running = start()
    client = running.client()
    for sent in (GET, post(b"abc", 3), GET):
        for byte in sent:
            client.sendall(bytes([byte]))
        assert answer_to(client).startswith(b"HTTP/1.1 200")
    # Two at once, and the beginning of a third.
    client.sendall(GET + GET + GET[:9])
    assert all(b"hello" in answer_to(client) for _ in range(2))
    client.sendall(GET[9:])
    assert b"hello" in answer_to(client)


def test_connections_without_a_request_take_no_thread(start: Start) -> None:
    running = start()
    for _ in range(THREADS * 5):
        running.client()
    assert b"hello" in running.ask()


def test_dribbled_headers_take_no_thread(start: Start) -> None:
    running = start()
    dribbling = [running.client(GET[:10]) for _ in range(THREADS * 5)]
    assert b"hello" in running.ask()
    for client in dribbling:
        client.sendall(GET[10:20])
    assert b"hello" in running.ask()


def test_headers_dribbled_behind_a_request_take_no_thread(start: Start) -> None:
    running = start()
    for _ in range(THREADS * 3):
        assert b"hello" in running.ask(GET + GET[:10])
    assert b"hello" in running.ask()


def test_headers_that_take_too_long_get_a_408_and_silence_gets_none(start: Start) -> None:
    running = start(header_timeout_seconds=0.2)
    silent, dribbling = running.client(), running.client(GET[:10])
    answer = answer_to(dribbling)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "request_timeout"' in answer
    assert is_closed(silent)


def test_body_that_takes_too_long_gets_a_408_and_frees_its_thread(start: Start) -> None:
    running = start(body_timeout_seconds=0.3)
    slow = [running.client(post(b"a", 100)) for _ in range(THREADS)]
    answers = [answer_to(client) for client in slow]
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    assert all(b'"code": "request_timeout"' in answer for answer in answers)
    assert all(is_closed(client) for client in slow)
    assert b"hello" in running.ask()


def test_unread_body_that_is_dribbled_frees_its_thread(start: Start) -> None:
    running = start(body_timeout_seconds=0.3)
    unread = b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\na"
    for _ in range(THREADS):
        assert b" 405 " in running.ask(unread)
    assert b"hello" in running.ask()


@pytest.mark.parametrize(("length", "told"), [(1000, b"keep-alive"), (1_000_000, b"close")])
def test_answer_tells_whether_the_connection_outlives_an_unread_body(
    start: Start, length: int, told: bytes
) -> None:
    head = b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % length
    client = start().client(head + b"a" * 1000)
    assert b"Connection: " + told in answer_to(client)
    if told == b"close":
        assert is_closed(client)
    else:
        client.sendall(GET)
        assert b"hello" in answer_to(client)


def test_client_that_takes_nothing_of_its_answer_is_dropped(start: Start) -> None:
    running = start(send_timeout_seconds=0.3)
    for _ in range(THREADS):
        running.client(b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
    assert b"hello" in running.ask()


def test_client_that_leaves_its_connection_open_holds_up_nobody(start: Start) -> None:
    running = start()
    closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for _ in range(THREADS - 1):
        assert b"hello" in running.ask(closing)
    begun = time.monotonic()
    assert b"hello" in running.ask()
    # Lingering takes two seconds for each.
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /hello?" + b"a" * 40_000, b"414"),
        (b"GET /hello HTTP/1.1\r\n" + b"a: b\r\n" * 8000, b"431"),
        (b"GET /hello HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\na: " + b"b" * 20_000 + b"\r\n\r\n", b"431"),
        (b"\x16\x03\x01 this is no HTTP\r\n\r\n", b"400"),
    ],
)
def test_giant_or_senseless_headers_are_refused(start: Start, sent: bytes, status: bytes) -> None:
    running = start()
    assert running.ask(sent).split()[1] == status
    assert b"hello" in running.ask()


def test_who_has_been_idle_for_longest_makes_room_for_others(start: Start) -> None:
    running = start()
    idle = [running.client() for _ in range(CONNECTIONS + 10)]
    assert b"hello" in running.ask()
    assert is_closed(idle[0])
    idle[-1].sendall(GET)
    assert b"hello" in answer_to(idle[-1])


def test_client_that_goes_away_in_the_midst_leaves_nothing(start: Start) -> None:
    running = start()
    for sent in (b"", GET[:10], post(b"a", 100)):
        running.client(sent).close()
    until = time.monotonic() + 5
    while running.worker.nr_conns and time.monotonic() < until:
        time.sleep(0.01)
    assert running.worker.nr_conns == 0

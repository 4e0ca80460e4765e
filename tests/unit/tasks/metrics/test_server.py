"""The port of a worker or a scheduler."""

import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest
import structlog

from tasks.metrics import server
from tasks.metrics.server import MetricsServer
from tests.unit.tasks.conftest import Configure
from tests.unit.tasks.metrics.samples import Page


@pytest.fixture
def port(configure: Configure) -> Iterator[int]:
    running = MetricsServer("127.0.0.1", 0)
    running.start()
    yield running.port
    running.shutdown()
    running.server_close()


def get(port: int, path: str = "/metrics", method: str = "GET") -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False)


def test_metrics_are_answered_in_prometheus_text_format(port: int) -> None:
    answer = get(port)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "tokenmill_build_info" in Page.parse(answer.text).families
    assert get(port, "/metrics?name=x").status_code == HTTPStatus.OK
    assert get(port, method="HEAD").content == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", HTTPStatus.NOT_FOUND),
        ("GET", "/metrics/../../etc/passwd", HTTPStatus.NOT_FOUND),
        ("HEAD", "/healthz", HTTPStatus.NOT_FOUND),
        ("POST", "/metrics", HTTPStatus.NOT_IMPLEMENTED),
        ("BREW", "/metrics", HTTPStatus.NOT_IMPLEMENTED),
    ],
)
def test_there_is_nothing_else(port: int, method: str, path: str, status: HTTPStatus) -> None:
    assert get(port, path, method).status_code == status


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\x16\x03\x01nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"A" * 70_000,
        b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"",
    ],
)
def test_nonsense_does_not_end_it(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        client.recv(1000)
    assert get(port).status_code == HTTPStatus.OK


def test_clients_that_say_nothing_are_let_go_and_too_many_turned_away(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.5)
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(40)]
    for client in silent:
        assert client.recv(1) == b"", "neither let go nor turned away"
        client.close()
    assert get(port).status_code == HTTPStatus.OK


def test_strangers_learn_nothing(configure: Configure, port: int) -> None:
    configure(metrics_networks="10.0.0.0/8")
    assert get(port).status_code == HTTPStatus.NOT_FOUND


def test_without_a_port_there_is_no_server(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_server", None)
    configure()
    server.start()
    assert server._server is None


def test_server_starts_once_however_often_it_is_asked_to(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_server", None)
    configure(metrics_port=0)
    server.start()
    started = server._server
    assert started is not None
    server.start()
    assert server._server is started
    started.shutdown()
    started.server_close()


def test_port_that_is_taken_is_logged_and_the_process_goes_on(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_server", None)
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken, structlog.testing.capture_logs() as lines:
        monkeypatch.setattr(server, "log", structlog.get_logger())
        configure(metrics_port=taken.getsockname()[1])
        server.start()
    assert [line["action"] for line in lines] == ["metrics_port_failed"]
    assert server._server is None
    assert threading.active_count() == threads

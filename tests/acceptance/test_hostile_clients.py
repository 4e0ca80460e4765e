"""Clients without manners, against the running server: the others notice nothing."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx

from tests.acceptance.conftest import LiveServer

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: here\r\n"
LONGEST_ANSWER_SECONDS = 5.0


def test_two_thousand_idle_connections_and_as_many_threads_of_dribbled_headers_stop_nobody(
    live_server: LiveServer,
) -> None:
    address = urlsplit(live_server.url)
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=20))
            for _ in range(3500)
        ]
        for connection in connections[2000:]:
            connection.sendall(HEAD)
        begun = time.monotonic()
        with httpx.Client(base_url=live_server.url, timeout=30, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            answer = client.get("/v1/models", headers={"Authorization": f"Bearer {live_server.key}"})
        assert answer.status_code == 200
        assert time.monotonic() - begun < LONGEST_ANSWER_SECONDS
    assert live_server.http.get("/readyz").status_code == 200


def test_giant_headers_and_a_giant_body_are_refused_and_the_next_request_is_served(
    live_server: LiveServer,
) -> None:
    headers = live_server.http.get("/healthz", headers={"x-giant": "a" * 100_000})
    assert (headers.status_code, headers.json()["error"]["code"]) == (431, "headers_too_large")
    body = live_server.http.post(
        "/v1/jobs", content=b" " * 8 * 1024 * 1024, headers={"Content-Type": "application/json"}
    )
    assert (body.status_code, body.json()["error"]["code"]) == (413, "request_too_large")
    assert live_server.http.get("/healthz").status_code == 200

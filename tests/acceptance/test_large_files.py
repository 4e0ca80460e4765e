"""Files as large as they may be, and those that are larger or never come to their end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import LiveServer

MIB = 1024 * 1024
# So long that 200 MiB of them are no more lines than a file may have.
LINE = b'{"custom_id": "' + b"x" * 4500 + b'"}\n'
BOUNDARY = "----boundary"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


def form(size: int) -> Iterator[bytes]:
    """A form with a file of so many bytes, made while it is sent."""
    yield HEAD
    lines = LINE * 56
    for _ in range(size // len(lines)):
        yield lines
    yield b" " * (size % len(lines))
    yield TAIL


def memory_of(server: LiveServer) -> int:
    """What the processes that read requests hold."""
    return sum(process.memory_info().rss for process in server.web_processes())


@contextmanager
def highest_memory(server: LiveServer) -> Iterator[list[int]]:
    """The growth of the server's memory while the block runs, at its end."""
    before, over, growth = memory_of(server), threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.02):
            growth[0] = max(growth[0], memory_of(server) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        over.set()
        watcher.join()


def names(server: LiveServer) -> set[str]:
    return {path.name for path in (server.data_dir / "files").glob("*")}


@pytest.fixture
def files(live_server: LiveServer) -> set[str]:
    """What lies in storage before the test. Some of it may go meanwhile: the scheduler is at work."""
    return names(live_server)


@pytest.mark.parametrize("length_known", [True, False])
def test_file_of_201_mb_is_refused_without_being_held_in_memory(
    live_server: LiveServer, files: set[str], length_known: bool
) -> None:
    size = 201 * MIB
    length = {"Content-Length": str(len(HEAD) + size + len(TAIL))} if length_known else {}
    with highest_memory(live_server) as growth:
        response = live_server.http.post(
            "/v1/files", content=form(size), headers=HEADERS | length, timeout=120
        )
    assert response.status_code == 413
    error = response.json()["error"]
    assert (error["param"], error["code"]) == ("file", "file_too_large")
    assert str(200 * MIB) in error["message"]
    assert growth[0] < 48 * MIB
    assert names(live_server) <= files


def test_file_of_200_mb_is_taken_and_given_back_without_being_held_in_memory(live_server: LiveServer) -> None:
    size = 200 * MIB
    with highest_memory(live_server) as growth:
        response = live_server.http.post("/v1/files", content=form(size), headers=HEADERS, timeout=120)
        assert response.status_code == 200, response.text
        file = response.json()
        assert file["bytes"] == size
        received = 0
        with live_server.http.stream("GET", f"/v1/files/{file['id']}/content") as streamed:
            assert streamed.headers["Content-Length"] == str(size)
            for chunk in streamed.iter_raw():
                received += len(chunk)
        assert received == size
    assert growth[0] < 48 * MIB
    live_server.http.delete(f"/v1/files/{file['id']}")


@pytest.mark.parametrize("length_known", [True, False])
def test_client_that_goes_away_in_the_middle_leaves_nothing_behind(
    live_server: LiveServer, files: set[str], length_known: bool
) -> None:
    address = urlsplit(live_server.url)
    framing = f"Content-Length: {50 * MIB}" if length_known else "Transfer-Encoding: chunked"
    request = (
        f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live_server.key}\r\n"
        f"Content-Type: {HEADERS['Content-Type']}\r\n{framing}\r\n\r\n"
    ).encode()
    body = HEAD + LINE * 1000
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(request + (body if length_known else b"%x\r\n" % (2 * len(body)) + body))
        wait_until(lambda: bool(names(live_server) - files))
    wait_until(lambda: names(live_server) <= files)
    assert '"status": 500' not in live_server.log


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_refusal_of_a_body_in_chunks_is_read_by_its_sender(live_server: LiveServer) -> None:
    """The sender of a wrong first line is told so, however much it still has to send."""

    def content() -> Iterator[bytes]:
        yield HEAD + b"no JSON\n"
        for _ in range(100):
            yield LINE * 50

    with live_server.client(live_server.key) as client:
        response = client.post("/v1/files", content=content(), headers=HEADERS)
    assert response.status_code == 400
    assert "Line 1 " in response.json()["error"]["message"]

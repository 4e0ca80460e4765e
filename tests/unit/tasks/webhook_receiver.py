"""A server that webhooks are sent to, and answers as the test says."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[BaseHTTPRequestHandler, Received], None]


def status(code: int, **headers: str) -> Answer:
    """Answer so."""

    def answer(handler: BaseHTTPRequestHandler, _: Received) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def wait_then(free: threading.Event, code: int = 204) -> Answer:
    """Answer once the test says so."""

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        free.wait(30)
        status(code)(handler, received)

    return answer


class Receiver:
    """Remembers what came. ``answers`` are given in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [status(204)]
        self.received: list[Received] = []
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def do_GET(self) -> None:
                receiver._take(self)

            def log_message(self, format: str, *args: object) -> None:
                """The test tells what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.received) >= count, seconds), self.received
            return list(self.received)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        received = Received(handler.path, dict(handler.headers), body)
        with self._news:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.received.append(received)
            self._news.notify_all()
        try:
            answer(handler, received)
        except ConnectionError:
            handler.close_connection = True


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()

"""A small HTTP server for what a worker or a scheduler has to tell: `/metrics`, and nothing else."""

import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import structlog

from tasks.addresses import among, listed_networks, parse_address
from tasks.metrics.exposition import CONTENT_TYPE, exposition
from tasks.settings import settings

# A client that says nothing, or reads nothing, for so long is let go.
_SILENCE_SECONDS = 10.0
# Prometheus needs one or two; all others can only be a mistake, or worse.
_MOST_CLIENTS = 16

log = structlog.get_logger(__name__)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SILENCE_SECONDS
    server_version = "tokenmill"
    sys_version = ""

    def do_GET(self) -> None:
        if self._asks_for_metrics():
            self._answer(HTTPStatus.OK, CONTENT_TYPE, exposition())

    def do_HEAD(self) -> None:
        if self._asks_for_metrics():
            self._answer(HTTPStatus.OK, CONTENT_TYPE, b"")

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each look would say nothing."""

    def _asks_for_metrics(self) -> bool:
        networks = listed_networks(settings().metrics_networks, param="metrics_networks")
        known = among(parse_address(self.client_address[0]), networks)
        if known and self.path.partition("?")[0] == "/metrics":
            return True
        self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There is only /metrics here.\n")
        return False

    def _answer(self, status: HTTPStatus, content_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class MetricsServer(ThreadingMixIn, TCPServer):
    """Answers in threads that end with the process. Raises OSError where it can't listen."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._places = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__((host, port), _Handler)
        self.port: int = self.socket.getsockname()[1]

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, name="tokenmill-metrics", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or talk nonsense, are no more than that."""
        log.debug("metrics not sent", action="metrics_not_sent", exc_info=True)


_lock = threading.Lock()
_server: MetricsServer | None = None


def start() -> None:
    """Answer at TOKENMILL_METRICS_PORT from now on, where it is set; calling it again changes nothing.

    A port that is taken is no reason not to work.
    """
    global _server
    host, port = settings().metrics_host, settings().metrics_port
    with _lock:
        if port is None or _server is not None:
            return
        try:
            _server = MetricsServer(host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            log.error("no port for metrics", action="metrics_port_failed", host=host, port=port, error=reason)
            return
        _server.start()
    log.info("metrics served", action="metrics_served", host=host, port=_server.port)

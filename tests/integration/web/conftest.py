"""The API in the test's own process, behind a real socket, on a real Postgres."""

import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

from tasks import keys, projects
from tasks.keys import Principal
from tasks.plan import Endpoint, JobPlan
from tasks.settings import settings
from tasks.wire.job import JOB_REQUEST
from tasks.wire.job_events import JobEvents
from tasks.wire.job_plan import job_plan
from tests.integration.tasks.conftest import MODEL, batch_storage, process
from web import bodies, disconnects, generation
from web.app import create_app

__all__ = ["batch_storage", "process"]


class Api:
    """A server in a thread, with an endpoint that answers and one that streams."""

    def __init__(self, secret: str) -> None:
        self.app = create_app(threads=8)
        self.app.add_url_rule("/test/answer", "answer", _answer, methods=["POST"])
        self.app.add_url_rule("/test/stream", "stream", _stream, methods=["POST"])
        self._server = make_server("127.0.0.1", 0, _as_gunicorn(self.app), threaded=True)
        # So that a client that reads nothing is felt after a few events.
        self._server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = ("127.0.0.1", self._server.port)
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.address[1]}",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=30,
        )

    def close(self) -> None:
        self.http.close()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def quick_rounds(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_CHECKPOINT_INTERVAL_SECONDS", "0.05")
    monkeypatch.setenv("TOKENMILL_RENEW_INTERVAL_SECONDS", "0.1")
    settings.cache_clear()


@pytest.fixture
def secret() -> str:
    return keys.create_key(projects.create_project("tests").id, "tests").secret


@pytest.fixture
def principal(secret: str) -> Principal:
    return keys.authenticate(secret)


@pytest.fixture
def api(secret: str) -> Iterator[Api]:
    started = Api(secret)
    yield started
    started.close()


def _plan() -> JobPlan:
    body = bodies.parse(request.get_data())
    stored = bool(body.pop("store", False))
    asked = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 64} | body
    plan = job_plan(JOB_REQUEST.validate_python(asked))
    return replace(plan, stored=stored, endpoint=Endpoint.COMPLETIONS)


def _answer() -> Response:
    result = generation.answer(_plan())
    return jsonify(status=result.job.status, text=result.choices[0].text)


def _stream() -> Response:
    return generation.stream(_plan(), JobEvents())


def _as_gunicorn(app: Flask) -> Any:
    """Shows the client's socket where gunicorn does."""

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[disconnects.SOCKET] = environ["werkzeug.socket"]
        return app(environ, start_response)

    return serve

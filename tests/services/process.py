"""A server process that lives no longer than the tests do."""

import atexit
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import psutil

from tests.services.errors import ServiceError

POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 60

# The kernel ends a child with the *thread* that forked it, so one thread that lasts forks them all: a test
# may then restart a server from a thread of its own.
_forking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="services")


class Program(Protocol):
    """A run of a program: ``subprocess.Popen``, or what is like it."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class ServerProcess:
    """One run of a server, in a process group of its own, its output in a file.

    It ends with :meth:`stop` or :meth:`kill`, at exit, and even where the tests are killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        orphan_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        with log.open("ab") as output:
            program = _forking.submit(
                subprocess.Popen,
                [*_tied_to_parent(orphan_signal, user), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=log.parent,
                start_new_session=True,
            ).result()
        self._run(Path(command[0]).name, program, log)

    def _run(self, name: str, program: Program, log: Path) -> None:
        self._name = name
        self._process = program
        self._log = log
        self._ended = False
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """What it ended with, None while it runs; a signal's number is negative."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Raises ServiceError, with the end of the log, where the server ends or is not ready in time."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                self._fail(f"{self._name} ended with status {self._process.returncode} while starting")
            if time.monotonic() > deadline:
                self.kill()
                self._fail(f"{self._name} was not ready after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 30) -> None:
        """Ask it to end, as its operator would; kill it where it does not."""
        if self.running:
            self._process.send_signal(with_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                self._fail(f"{self._name} did not stop within {seconds:.0f} s")
        self.kill()

    def kill(self) -> None:
        """End it and all that it started, at once, as a crash would."""
        if self._ended:
            return
        doomed = self._family()
        for process in doomed:
            _kill(process)
        self._process.wait()
        while any(map(_alive, doomed)):
            time.sleep(POLL_SECONDS)
        atexit.unregister(self.kill)
        self._ended = True

    def _family(self) -> list[psutil.Process]:
        """The server, its descendants, and what is left of its session once it is gone itself."""
        family = [process for process in psutil.process_iter() if _session(process) == self._process.pid]
        if self.running:
            family += psutil.Process(self._process.pid).children(recursive=True)
        return family

    def _fail(self, problem: str) -> None:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        raise ServiceError("\n".join([f"{problem}. The end of its log:", *lines]))


def _tied_to_parent(orphan_signal: signal.Signals, user: str | None) -> list[str]:
    """The command in front of a server's own that ends it with the tests, and makes it another user's."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise ServiceError(f"setpriv (of util-linux) is needed to start a server as {user}")
        return []
    identity = [] if user is None else ["--reuid", user, "--regid", user, "--init-groups"]
    return [setpriv, *identity, "--pdeathsig", orphan_signal.name.removeprefix("SIG"), "--"]


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _alive(process: psutil.Process) -> bool:
    """False for a zombie too: nobody may be there to collect an orphan in a container."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return

"""Python programs forked from a process that has imported torch already.

Importing it takes a worker several seconds of processor time, and tests start dozens of workers. All
else is as if the program were started by its command line: its environment, its output, its session.
"""

import ctypes
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PRELOADED = ["inference.loader", "inference.engine"]
"""Nothing that reads settings: those are the forked program's own."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)

_SET_PARENT_DEATH_SIGNAL = 1


class ForkedProgram:
    """A run of ``python -m MODULE ARGUMENTS``, with what tests use of ``subprocess.Popen``."""

    def __init__(
        self, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self._process = _context.Process(target=_run, args=(module, arguments, log, dict(environment)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self.returncode


def _run(module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    # It ends with the process that forked it, and that one with the tests.
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.setsid()
    os.chdir(log.parent)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

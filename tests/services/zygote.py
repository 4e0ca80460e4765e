"""Forks programs from a process that has imported what they need: `python -m tests.services.zygote`.

A worker imports for as long as it takes to load its model, and tests start dozens of workers. All else is
as if a program had been started by its command line: its environment, its output, its session.
"""

import ctypes
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from tasks.settings import settings
from tasks.torchless import keep_torch_out

PRELOADED = {
    "worker": ("celery.bin.worker", "kombu.transport.pyamqp", "tasks.generate"),
    "web": ("web.cli", "web.app", "tasks.scheduler", "kombu.transport.pyamqp"),
}
_SET_PARENT_DEATH_SIGNAL = 1


class Zygote:
    """Answers each connection, which asks for one program, with its process id and then its exit status."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{path}.new")
        self._listener.listen(64)
        # Whoever sees it can connect.
        Path(f"{path}.new").rename(path)
        self._waiting: dict[int, socket.socket] = {}
        self._ended, wake_up = socket.socketpair()
        for end in (self._ended, wake_up):
            end.setblocking(False)
        self._wake_up = wake_up
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_up.fileno(), warn_on_full_buffer=False)

    def serve(self) -> dict[str, Any]:
        """Returns in each forked process, with what is asked of it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._ended:
                        self._ended.recv(4096)
                        self._reap()
                    elif (asked := self._fork()) is not None:
                        return asked

    def _fork(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        asked: dict[str, Any] = json.loads(connection.makefile().readline())
        process_id = os.fork()
        if process_id == 0:
            self._forget(connection)
            return asked
        self._waiting[process_id] = connection
        connection.sendall(f"{process_id}\n".encode())
        return None

    def _reap(self) -> None:
        while self._waiting:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if process_id == 0:
                return
            with self._waiting.pop(process_id) as connection:
                try:
                    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                except BrokenPipeError:
                    continue

    def _forget(self, connection: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in (self._listener, self._ended, self._wake_up, connection, *self._waiting.values()):
            one.close()


def _become(asked: dict[str, Any]) -> None:
    # It ends with the process that forked it, and that one with the tests.
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    output = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    sys.argv = [asked["module"], *asked["arguments"]]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    path, kind = sys.argv[1:]
    if kind != "worker":
        keep_torch_out()
    for module in PRELOADED[kind]:
        importlib.import_module(module)
    # They are the forked program's own.
    assert settings.cache_info().currsize == 0
    assert "celeryconfig" not in sys.modules
    _become(Zygote(path).serve())


if __name__ == "__main__":
    main()

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import psutil
import pytest

from tests.services.errors import ServiceError
from tests.services.process import ServerProcess

PARENT_WITH_A_SERVER = """
import sys
from pathlib import Path
from tests.services.process import ServerProcess
server = ServerProcess(["sleep", "300"], Path(sys.argv[1]))
print(server._process.pid, flush=True)
sys.stdin.read()
"""


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT_WITH_A_SERVER, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # By then the server itself runs, and not what ties it to its parent first.
        assert eventually(lambda: psutil.Process(pid).name() == "sleep")
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: not alive(pid))


def test_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[ServerProcess] = []
    thread = Thread(target=lambda: started.append(ServerProcess(["sleep", "300"], tmp_path / "log")))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert started[0].running
    started[0].kill()
    assert not started[0].running


def test_kill_takes_what_the_server_started_with_it(tmp_path: Path) -> None:
    server = ServerProcess(["sh", "-c", "sleep 301 & echo $!; wait"], tmp_path / "log")
    assert eventually(lambda: (tmp_path / "log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "log").read_text())
    server.kill()
    assert eventually(lambda: not alive(grandchild))


def test_failed_start_shows_the_log(tmp_path: Path) -> None:
    server = ServerProcess(["sh", "-c", "echo the disk is full; exit 3"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"status 3(.|\n)*the disk is full"):
        server.wait_until(lambda: False, seconds=10)


def test_server_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    server = ServerProcess(["sleep", "300"], tmp_path / "log")
    with pytest.raises(ServiceError, match="not ready after"):
        server.wait_until(lambda: False, seconds=0.2)
    assert not server.running

"""Supervision of real processes that end when they should not."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import member as supervision
from tests.services.errors import ServiceError
from tests.services.member import Member, State
from tests.services.process import ServerProcess


class Script:
    """A shell script as a server; ready once it has written a word."""

    def __init__(self, text: str, log: Path) -> None:
        self.process: ServerProcess | None = None
        self._command = ["sh", "-c", text]
        self._log = log

    def start(self) -> None:
        self.process = ServerProcess(self._command, self._log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop(seconds=5)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def ready(self) -> bool:
        return "ready" in self._log.read_text()


News = list[str]
Start = Callable[[str], Member]


@pytest.fixture
def news() -> News:
    return []


@pytest.fixture
def start(tmp_path: Path, news: News) -> Iterator[Start]:
    started: list[Member] = []

    def begin(text: str) -> Member:
        member = Member("it", Script(text, tmp_path / "log"), tell=news.append, first_delay_seconds=0.05)
        started.append(member)
        member.start()
        return member

    yield begin
    for member in started:
        member.kill()


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_killed_process_is_told_and_started_again(start: Start, news: News) -> None:
    member = start("echo ready; exec sleep 60")
    member.wait_until_ready(10)
    killed = member.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: member.starts == 2 and member.state is State.READY)
    assert member.pid not in (killed, None)
    assert news[1] == "it ended with status -9; it starts again in 0.05 s"


def test_delay_grows_with_every_end(start: Start, news: News) -> None:
    member = start("exit 3")
    with pytest.raises(ServiceError, match="it did not become ready: ended with status 3"):
        member.wait_until_ready(10)
    eventually(lambda: len(news) >= 3)
    assert [told.split()[-2] for told in news[:3]] == ["0.05", "0.1", "0.2"]


def test_delay_is_short_again_for_what_had_been_steady(
    start: Start, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "STEADY_SECONDS", 0)
    start("exit 3")
    eventually(lambda: len(news) >= 3)
    assert [told.split()[-2] for told in news[:3]] == ["0.05", "0.05", "0.05"]


def test_what_cannot_be_started_is_told_and_tried_again(tmp_path: Path, news: News) -> None:
    script = Script("", tmp_path / "log")
    script._command = ["/nowhere/at/all"]
    member = Member("it", script, tell=news.append, first_delay_seconds=0.01)
    member.start()
    eventually(lambda: len(news) >= 2)
    member.stop()
    assert member.state is State.STOPPED


def test_stopped_process_drains_and_is_not_started_again(start: Start, tmp_path: Path) -> None:
    member = start("trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    member.wait_until_ready(10)
    member.stop()
    assert (tmp_path / "log").read_text().splitlines() == ["ready", "drained"]
    assert (member.state, member.starts, member.pid) == (State.STOPPED, 1, None)


def test_process_that_waits_to_start_again_is_stopped_at_once(start: Start, news: News) -> None:
    member = start("exit 1")
    eventually(lambda: member.state is State.WAITING)
    member.stop()
    starts = member.starts
    time.sleep(0.3)
    assert member.starts == starts


def test_process_that_is_late_is_told_to_be(start: Start) -> None:
    with pytest.raises(ServiceError, match="it did not become ready: starting"):
        start("exec sleep 60").wait_until_ready(0.2)

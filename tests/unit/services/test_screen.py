import os

import pytest
from rich.console import Console

from tests.services.member import Member, State
from tests.services.screen import Screen, duration, resident_bytes
from tests.services.servers import ServiceServer


class NeverStarted:
    process = None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...


def test_table_names_what_runs_where_within_a_terminals_width() -> None:
    member = Member("web-1", ServiceServer(NeverStarted()), address="127.0.0.1:8001", tell=print)
    member.state = State.WAITING
    console = Console(width=80)
    with console.capture() as printed:
        console.print(Screen(lambda: [member]))
    heading, row = printed.get().splitlines()
    assert heading.split() == ["PROCESS", "STATE", "PID", "UP", "MEMORY", "STARTS", "ADDRESS"]
    assert row.split() == ["web-1", "waiting", "0", "127.0.0.1:8001"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_durations_are_told_in_two_units_at_most(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_memory_of_a_process_that_has_gone_is_none() -> None:
    assert resident_bytes(os.getpid()) > 1_000_000
    assert resident_bytes(2**30) == 0

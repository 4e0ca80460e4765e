"""What runs where, for a person's eyes."""

import time
from collections.abc import Callable, Iterable

import psutil
from rich.console import RenderableType
from rich.table import Table

from tests.services.member import Member, State

STYLES = {State.READY: "green", State.WAITING: "red", State.STOPPED: "dim"}
MIB = 1024 * 1024


class Screen:
    """Renders itself anew whenever it is looked at."""

    def __init__(self, members: Callable[[], Iterable[Member]]) -> None:
        self._members = members

    def __rich__(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("PROCESS", "STATE", "PID", "UP", "MEMORY", "STARTS", "ADDRESS"):
            right = heading in ("PID", "UP", "MEMORY", "STARTS")
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
        for member in self._members():
            table.add_row(*_cells(member), style=STYLES.get(member.state, "yellow"))
        return table


def _cells(member: Member) -> tuple[str, ...]:
    pid = member.pid
    return (
        member.name,
        member.state,
        "" if pid is None else str(pid),
        "" if pid is None else duration(time.monotonic() - member.started_at),
        "" if pid is None else f"{resident_bytes(pid) // MIB} MiB",
        str(member.starts),
        member.address,
    )


def duration(seconds: float) -> str:
    """The two largest units at most."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def resident_bytes(pid: int) -> int:
    """Of a process and all that it has started; pages that they share count for each."""
    try:
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_resident_bytes, members))


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0

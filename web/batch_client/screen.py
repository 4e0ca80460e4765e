"""What a client shows: bars on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from tasks.pricing import usd_text
from web.batch_client.api import Advance
from web.batch_client.batch import RemoteBatch

_LINE_EVERY_SECONDS = 10.0


class _Rate(ProgressColumn):
    """Lines a second, over the last half minute, or all along where they came too fast to tell."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None and task.elapsed:
            speed = (task.completed - task.fields["begun_at"]) / task.elapsed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


class Screen:
    """Speaks on stderr, so that what a command prints can be piped."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    @contextmanager
    def transfer(self, title: str, total_bytes: int | None) -> Iterator[Advance]:
        """Yields what to call with the number of bytes that are through."""
        if not self._console.is_terminal:
            self.say(f"{title}…")
            yield lambda count: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(title, total=total_bytes)
            yield lambda count: progress.advance(task, count)

    @contextmanager
    def batch(self, batch: RemoteBatch) -> Iterator[Callable[[RemoteBatch], object]]:
        """Yields what to call with the batch whenever it has been looked at."""
        if not self._console.is_terminal:
            yield _Lines(self).show
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TextColumn("{task.fields[spent]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=None, completed=batch.done, begun_at=batch.done, spent="")

            def show(seen: RemoteBatch) -> None:
                progress.update(
                    task,
                    description=seen.status,
                    total=seen.total or None,
                    completed=seen.done,
                    spent=_spent(seen),
                )

            yield show


class _Lines:
    """A line when the status changes, and every few seconds."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._status = ""
        self._next = 0.0
        self._started: tuple[float, int] | None = None

    def show(self, batch: RemoteBatch) -> None:
        now = time.monotonic()
        if batch.status == self._status and now < self._next:
            return
        self._status, self._next = batch.status, now + _LINE_EVERY_SECONDS
        self._started = self._started or (now, batch.done)
        of_all = f" {batch.done}/{batch.total} lines, {_spent(batch)}" if batch.total else ""
        self._screen.say(f"{batch.status}{of_all}{_pace(now, batch, *self._started)}")


def _pace(now: float, batch: RemoteBatch, began: float, begun_at: int) -> str:
    """How fast it goes, and for how long still, since the watching began at so many lines."""
    seconds, lines = now - began, batch.done - begun_at
    if batch.ended or seconds < 1 or lines == 0:
        return ""
    left = (batch.total - batch.done) * seconds / lines
    return f", {lines / seconds:.1f} lines/s, {duration_text(left)} left"


def duration_text(seconds: float) -> str:
    """``1:02:03``, as the bars say it."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}"


def _spent(batch: RemoteBatch) -> str:
    return f"{batch.input_tokens + batch.output_tokens:,} tokens ${usd_text(round(batch.cost_usd, 6))}"

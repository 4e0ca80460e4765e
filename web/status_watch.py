"""Showing the platform's status once, or again and again through every outage."""

import dataclasses
import json
import time
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tasks import migrate
from tasks.errors import DatabaseUnavailable
from tasks.pricing import usd_text
from tasks.settings import settings
from tasks.status.platform import PlatformStatus, look
from web.status_screen import screen

# Where nobody's terminal says how wide it is.
_COLUMNS = 80


def show_once(*, as_json: bool) -> None:
    """Raises DatabaseUnavailable."""
    status = look()
    if as_json:
        print_json(status)
    else:
        _console().print(screen(status))


def watch(every_seconds: float, *, as_json: bool) -> None:
    """Until Ctrl-C. While the database is away, what was last seen stays, and says so."""
    console = _console()
    try:
        if as_json or not console.is_terminal:
            _watch_plainly(console, every_seconds, as_json=as_json)
        else:
            _watch_live(console, every_seconds)
    except KeyboardInterrupt:
        return


def print_json(status: PlatformStatus) -> None:
    """A line; amounts of money are exact, in strings."""
    print(json.dumps(dataclasses.asdict(status), default=_as_json), flush=True)  # noqa: T201


class Watcher:
    """Looks, and remembers what it saw for when it can't."""

    def __init__(self) -> None:
        self._last: PlatformStatus | None = None
        self._checked = False
        self.outage: str | None = None

    def look(self) -> PlatformStatus | None:
        """The newest that is known; ``outage`` says why it is not of this moment. Raises SchemaOutdated."""
        try:
            if not self._checked:
                migrate.check(settings().database_url)
                self._checked = True
            self._last, self.outage = look(), None
        except DatabaseUnavailable:
            self.outage = f"{datetime.now(UTC):%H:%M:%S} UTC: the database can't be reached."
            if self._last is not None:
                self.outage += f" Below is what it said at {self._last.at:%H:%M:%S}."
        return self._last


def _watch_live(console: Console, every_seconds: float) -> None:
    watcher = Watcher()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            status = watcher.look()
            shown = Text(watcher.outage or "") if status is None else screen(status, watcher.outage)
            live.update(shown, refresh=True)
            time.sleep(every_seconds)


def _watch_plainly(console: Console, every_seconds: float, *, as_json: bool) -> None:
    watcher = Watcher()
    while True:
        status = watcher.look()
        if watcher.outage is not None:
            Console(stderr=True).print(watcher.outage, soft_wrap=True)
        elif status is not None and as_json:
            print_json(status)
        elif status is not None:
            console.print(screen(status), "")
        time.sleep(every_seconds)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, _COLUMNS))


def _as_json(value: object) -> str:
    if isinstance(value, Decimal):
        return usd_text(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)

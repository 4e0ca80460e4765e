"""One server of a running platform: kept running, whatever ends it, until it is told to stop."""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from tests.services.errors import ServiceError
from tests.services.process import ServerProcess

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0
# Who has been up for so long had no trouble starting: its next end is a new one.
STEADY_SECONDS = 30.0
# Nobody waits any longer for one that has ended so often before it was ready.
MOST_STARTS = 3
LOOK_SECONDS = 0.1


class Service(Protocol):
    """What can be started and ended, again and again."""

    @property
    def process(self) -> ServerProcess | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...


class Server(Service, Protocol):
    """A service that says whether it is ready."""

    def ready(self) -> bool: ...


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Member:
    """A server under supervision, each in a thread of its own so that none waits for another."""

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        address: str = "",
        tell: Callable[[str], None],
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
    ) -> None:
        self.name = name
        self.address = address
        self.state = State.STOPPED
        self.starts = 0
        self.trouble = ""
        self.started_at = time.monotonic()
        self._server = server
        self._tell = tell
        self._first_delay_seconds = first_delay_seconds
        self._delay_seconds = 0.0
        self._told_to_stop = threading.Event()
        # Held from a look at the event to the end of the start that follows.
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._supervise, name=f"member-{name}", daemon=True)

    @property
    def pid(self) -> int | None:
        process = self._server.process
        return process.pid if process is not None and process.running else None

    def start(self) -> None:
        """Returns at once."""
        self.state = State.STARTING
        self._thread.start()

    def wait_until_ready(self, seconds: float) -> None:
        """Raises ServiceError where it takes longer, or ends again and again until then."""
        until = time.monotonic() + seconds
        while self.state is not State.READY:
            worn_out = self.state is State.WAITING and self.starts >= MOST_STARTS
            if worn_out or time.monotonic() > until:
                raise ServiceError(f"{self.name} did not become ready: {self.trouble or self.state}")
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Let it end what it is doing."""
        self._end(self._server.stop)

    def kill(self) -> None:
        """End it at once."""
        self._end(self._server.kill)

    def _end(self, how: Callable[[], None]) -> None:
        self._told_to_stop.set()
        if self.state is State.STOPPED:
            return
        self.state = State.STOPPING
        with self._starting:
            pass  # A start that has begun is over, and no other begins.
        try:
            how()
        except ServiceError as error:
            self._tell(str(error))
        self._thread.join()
        self.state = State.STOPPED
        self._tell(f"{self.name} has stopped")

    def _supervise(self) -> None:
        while not self._told_to_stop.is_set():
            began = time.monotonic()
            self.trouble = self._run()
            if self._told_to_stop.is_set():
                return
            self._server.kill()
            self._wait(steady=time.monotonic() - began > STEADY_SECONDS)

    def _run(self) -> str:
        """From a start to the end that follows; returns what is to be said of it."""
        with self._starting:
            if self._told_to_stop.is_set():
                return ""
            self.state = State.STARTING
            self.starts += 1
            self.started_at = time.monotonic()
            try:
                self._server.start()
            except (ServiceError, OSError) as error:
                return f"could not be started: {error}"
        while (process := self._server.process) is not None and process.running:
            if self.state is State.STARTING and self._server.ready():
                self.state = State.READY
                self._tell(f"{self.name} is ready")
            time.sleep(LOOK_SECONDS)
        return f"ended with status {process.status}" if process is not None else "did not start"

    def _wait(self, *, steady: bool) -> None:
        again = 0.0 if steady else 2 * self._delay_seconds
        self._delay_seconds = min(max(again, self._first_delay_seconds), LONGEST_DELAY_SECONDS)
        self.state = State.WAITING
        self._tell(f"{self.name} {self.trouble}; it starts again in {self._delay_seconds:g} s")
        self._told_to_stop.wait(self._delay_seconds)

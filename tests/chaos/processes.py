"""Six processes that somebody keeps running, as an orchestrator does: what has ended is started again."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx
import psutil

from tests.chaos.plan import PROCESSES, WEBS
from tests.services.errors import ServiceError
from tests.services.platform import Platform, PlatformProcess
from tests.services.ports import free_ports

_LOOK_SECONDS = 0.2
_PAUSE_AFTER_EXIT_SECONDS = 1.0
_READY_SECONDS = 120
_LEAVE_SECONDS = 30
_READY_WORDS = {"worker": "model_ready", "scheduler": "scheduler_started"}


class Post:
    """A place in which a process is kept running. ``busy`` is held by whoever does something to it."""

    def __init__(self, name: str, platform: Platform, **settings: object) -> None:
        self.name = name
        self.role = name.partition("-")[0]
        self.busy = threading.Lock()
        self._platform = platform
        self._settings = settings
        self._process = self._begin()

    @property
    def log(self) -> Path:
        return self._process.log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def begin_again(self) -> None:
        """After the end of the last one, and of whatever that one left behind."""
        self._process.kill()
        self._process = self._begin()

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        """Raises ServiceError where it does not leave in time."""
        self._process.stop(_LEAVE_SECONDS)

    def freeze(self, seconds: float) -> None:
        """Hold it still for so long."""
        # A child that has just ended can't be frozen, and need not be.
        with suppress(psutil.NoSuchProcess):
            self._process.freeze()
        time.sleep(seconds)
        with suppress(psutil.NoSuchProcess):
            self._process.thaw()

    def _begin(self) -> PlatformProcess:
        return self._platform.begin(self.role, **self._settings)


class Processes:
    """All posts, and the thread that looks after them. A context manager."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._ports = dict(zip(WEBS, free_ports(len(WEBS)), strict=True))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-orchestrator", daemon=True)
        self.posts: dict[str, Post] = {}
        self.started_again = 0

    @property
    def base_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    def __enter__(self) -> Self:
        self.posts = {name: self._post(name) for name in PROCESSES}
        self._wait_until_ready()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for post in self.posts.values():
            post.kill()

    def _post(self, name: str) -> Post:
        own = {"host": "127.0.0.1", "port": self._ports[name]} if name in self._ports else {}
        return Post(name, self._platform, **own)

    def _wait_until_ready(self) -> None:
        """Raises ServiceError, with the end of the log of the one that is not."""
        until = time.monotonic() + _READY_SECONDS
        for post in self.posts.values():
            while not self._ready(post):
                if not post.running or time.monotonic() > until:
                    end = post.log.read_text(errors="replace")[-4000:]
                    raise ServiceError(f"{post.name} did not start:\n{end}")
                time.sleep(0.1)

    def _ready(self, post: Post) -> bool:
        if post.role in _READY_WORDS:
            return _READY_WORDS[post.role] in post.log.read_text(errors="replace")
        try:
            health = httpx.get(f"http://127.0.0.1:{self._ports[post.name]}/healthz", timeout=1)
        except httpx.TransportError:
            return False
        return health.status_code == 200

    def _run(self) -> None:
        """Start again what has ended, a moment later."""
        ended_at: dict[str, float] = {}
        while not self._stopping.wait(_LOOK_SECONDS):
            for name, post in self.posts.items():
                if post.running:
                    ended_at.pop(name, None)
                elif (
                    time.monotonic() - ended_at.setdefault(name, time.monotonic()) > _PAUSE_AFTER_EXIT_SECONDS
                ):
                    with post.busy:
                        post.begin_again()
                    self.started_again += 1

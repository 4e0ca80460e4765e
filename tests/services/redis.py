"""Redis for tests: the one that runs, or one of their own."""

import shutil
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.services.errors import ServiceMissing
from tests.services.install import install
from tests.services.ports import free_ports
from tests.services.process import ServerProcess

VARIABLE = "REDIS_URL"
PACKAGE = "redis-server"
USUAL_URL = "redis://127.0.0.1:6379/0"
START_SECONDS = 30


class RedisServer:
    """A Redis in a data folder of its own. Started again on the same folder it has its keys and port back."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        (self._port,) = free_ports(1)
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def process(self) -> ServerProcess | None:
        """Its present run, or the last one; None before the first."""
        return self._process

    def start(self) -> None:
        program = ensure_installed()
        self._data_dir.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._data_dir),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = ServerProcess([str(program), *arguments], self._data_dir / "redis.log")
        self._process.wait_until(lambda: answers(self.url), START_SECONDS)

    def stop(self) -> None:
        """Shut it down in order."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process:
            self._process.kill()


def running_url(configured: str | None) -> str | None:
    """The configured Redis, or the one at the usual address; None where neither answers."""
    candidates = (url for url in (configured, USUAL_URL) if url is not None)
    return next((url for url in candidates if answers(url)), None)


def answers(url: str) -> bool:
    """Whether a Redis lets us in there."""
    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def ensure_installed() -> Path:
    """The server program, installed first where need be. Raises ServiceMissing."""
    found = shutil.which("redis-server")
    if found is None:
        install(PACKAGE, variable=VARIABLE)
        found = shutil.which("redis-server")
    if found is None:
        raise ServiceMissing(f"{PACKAGE} is installed, but no redis-server was found on PATH")
    return Path(found)

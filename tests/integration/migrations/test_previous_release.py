"""An upgrade under way: the schema is new, some processes are of the release before it."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.inference.tiny_model import TINIEST, save_tiny
from tests.integration.migrations import previous_release
from tests.integration.migrations.previous_release import HistoryMissing, unpack_previous_release
from tests.integration.processes.conftest import QUICK, Books, with_key
from tests.integration.processes.event_source import EventSource, text, tokens
from tests.services.fixtures import Broker
from tests.services.platform import Platform

MODEL = "tiny"
CATALOG = """
[models.tiny]
source = "{folder}"
quantization = "fp32"
context_length = 8192
prices = {{ input_usd = 1, cached_input_usd = 0.5, output_usd = 2 }}
"""
SHORT = {"type": "completion", "model": MODEL, "prompt": "Once", "max_tokens": 12}
LONG = {"model": MODEL, "prompt": "Once", "max_tokens": 8000, "ignore_eos": True, "stream": True}


@dataclass(frozen=True)
class Upgrade:
    """Two releases on one database and one broker."""

    old: Platform
    new: Platform
    books: Books


@pytest.fixture
def upgrade(database_url: str, rabbitmq: Broker, tmp_path: Path) -> Iterator[Upgrade]:
    code = tmp_path / "previous"
    code.mkdir()
    assert unpack_previous_release(code), "the previous release has every migration"
    save_tiny(tmp_path / "model", "llama", **TINIEST, max_position_embeddings=8192)
    (tmp_path / "catalog.toml").write_text(CATALOG.format(folder=tmp_path / "model"))
    settings = QUICK | {
        "catalog": tmp_path / "catalog.toml",
        "data_dir": tmp_path / "data",
        "queue_prefix": f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}",
    }
    logs = [tmp_path / name for name in ("old", "new")]
    for folder in logs:
        folder.mkdir()
    with (
        Platform(logs[0], database_url=database_url, broker_url=rabbitmq.url, **settings) as old,
        Platform(logs[1], database_url=database_url, broker_url=rabbitmq.url, **settings) as new,
    ):
        old.use_code(code)
        assert imported_from(old) == code
        with_key(new)
        old.headers = new.headers
        yield Upgrade(old, new, Books(database_url))


def imported_from(platform: Platform) -> Path:
    """Where a process of the platform has its code from, whatever is installed."""
    told = subprocess.run(
        [sys.executable, "-c", "import tasks; print(tasks.__file__)"],
        env=platform.environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(told.stdout.strip()).parents[1]


def run_one(platform: Platform) -> None:
    """A job from its request to its answer, followed on the way."""
    job = platform.submit(**SHORT)
    with EventSource(f"{platform.base_url}/v1/jobs/{job['id']}/events", platform.headers) as source:
        pieces = tokens(source.events())
    ended = platform.wait_for(job["id"], "completed")
    assert text(pieces) == ended["output"]["text"]
    assert ended["attempt"] == 1


def start_batch(platform: Platform) -> str:
    lines = [
        {"custom_id": str(number), "method": "POST", "url": "/v1/completions", "body": body}
        for number, body in enumerate([{"model": MODEL, "prompt": "One, two,", "max_tokens": 2}] * 3)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    upload = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", content)}}
    file = platform.request("POST", "/v1/files", **upload).json()
    wanted = {"input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
    batch: dict[str, Any] = platform.request("POST", "/v1/batches", json=wanted).json()
    return str(batch["id"])


def wait_for_batch(platform: Platform, batch_id: str) -> None:
    until = time.monotonic() + 60
    while (batch := platform.request("GET", f"/v1/batches/{batch_id}").json())["status"] != "completed":
        assert time.monotonic() < until, batch
        time.sleep(0.1)
    assert batch["request_counts"] == {"total": 3, "completed": 3, "failed": 0}


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_processes_of_the_previous_release_work_on_the_new_schema_alone_and_beside_new_ones(
    upgrade: Upgrade,
) -> None:
    old, new = upgrade.old, upgrade.new
    with ThreadPoolExecutor(4) as together:
        starting = [old.start_worker, old.start_scheduler, old.start_web, new.start_web]
        old_worker, *_ = [started.result() for started in [together.submit(start) for start in starting]]
    run_one(old)
    run_one(new)
    batch = start_batch(new)
    wait_for_batch(old, batch)

    long: Any = {"json": LONG, "headers": old.headers, "timeout": 90}
    with httpx.stream("POST", f"{old.base_url}/v1/completions", **long) as answer:
        begun = answer.headers["x-tokenmill-job-id"]
        lines = answer.iter_lines()
        handed_over = [next(lines) for _ in range(20)]
        old_worker.stop()
        assert old.job(begun)["status"] == "queued"
        new.start_worker()
        assert old.wait_for(begun, "in_progress")["attempt"] == 2
        assert old.request("POST", f"/v1/jobs/{begun}/cancel").status_code == 200
        handed_over += lines
    ended = new.wait_for(begun, "cancelled")
    assert 0 < ended["usage"]["completion_tokens"] < 8000
    run_one(old)
    upgrade.books.assert_settled()


def test_without_the_history_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    monkeypatch.setattr(previous_release, "REPOSITORY", tmp_path)
    with pytest.raises(HistoryMissing, match="takes a git clone"):
        unpack_previous_release(tmp_path)

"""The tasks package inside the test's own process: a database of the test's own, the broker in memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import (
    admin_keys,
    batch_backlog,
    circuit,
    db,
    feeder,
    identities,
    identity_tokens,
    key_uses,
    keys,
    known_keys,
    limit_book,
    limit_counters,
    nonces,
    price_book,
    projects,
    queue,
    queue_state,
    readiness,
    redis_client,
)
from tasks.admission import Submission, submit
from tasks.keys import Principal
from tasks.settings import settings
from tasks.wire.job import JOB_REQUEST
from tasks.wire.job_plan import job_plan
from tests.integration.tasks.file_storage import use_storage
from tests.integration.tasks.publications import Publications

MODEL = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def process(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the process had just been started with this database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("BROKER_URL", "memory://")
    _forget()
    yield
    _let_publisher_finish()
    # Uses of keys are noted in the background, and this test's database is about to go.
    key_uses._writer().submit(int).result()
    db.engine().dispose()
    _forget()


def _let_publisher_finish() -> None:
    """It belongs to the whole run, and this test's database is about to go."""
    publisher = queue._background
    until = time.monotonic() + 5
    while publisher is not None and (publisher._pending.qsize() or publisher._confirmed):
        assert time.monotonic() < until
        time.sleep(0.01)


def _forget() -> None:
    settings.cache_clear()
    db.engine.cache_clear()
    known_keys._cache.clear()
    admin_keys._cache.clear()
    identities._cache.clear()
    identity_tokens._issuer_keys.cache_clear()
    limit_book._cache.clear()
    limit_counters.counters.cache_clear()
    redis_client.client.cache_clear()
    nonces._memory.cache_clear()
    price_book._cache.clear()
    price_book._synced.clear()
    readiness.forget()
    circuit.forget()
    queue_state.forget()
    batch_backlog.forget()


@pytest.fixture
def principal() -> Principal:
    project = projects.create_project("tests")
    return keys.authenticate(keys.create_key(project.id, "tests").secret)


@pytest.fixture
def submit_job(principal: Principal) -> Callable[..., Submission]:
    """Admit a completion job; the keyword arguments change its body."""

    def submit_with(
        idempotency_key: str | None = None,
        by: Principal = principal,
        job_id: str | None = None,
        stream_to: str | None = None,
        **changes: object,
    ) -> Submission:
        body = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8} | changes
        request = JOB_REQUEST.validate_python(body)
        return submit(
            by,
            job_plan(request),
            idempotency_key=idempotency_key,
            request_id=None,
            job_id=job_id,
            stream_to=stream_to,
        )

    return submit_with


@pytest.fixture
def batch_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the files of batches."""
    use_storage(str(tmp_path), monkeypatch)


@pytest.fixture
def publications(monkeypatch: pytest.MonkeyPatch) -> Publications:
    """What the feeder publishes."""
    found = Publications()
    monkeypatch.setattr(feeder, "_publisher", found)
    return found

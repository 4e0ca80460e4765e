"""Readiness: each thing that may be missing is named, and what work goes on without keeps nobody out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import broker, circuit, db, readiness, redis_client, scheduler_presence
from tasks.circuit import circuit_of
from tasks.errors import BrokerUnavailable
from tasks.readiness import Check
from tasks.settings import settings
from tasks.storage import storage
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.bookkeeping import change, row
from tests.integration.tasks.conftest import MODEL

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TOKENMILL_DATA_DIR", str(tmp_path))
    settings.cache_clear()
    storage.cache_clear()
    yield tmp_path
    storage.cache_clear()


@pytest.fixture
def worker() -> Iterator[WorkerIdentity]:
    identity = WorkerIdentity(model=MODEL, quantization="fp32", slots=1)
    identity.register()
    yield identity
    identity.withdraw()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    def set_all(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        settings.cache_clear()

    return set_all


def found() -> dict[str, Check]:
    readiness.forget()
    return readiness.readiness().checks


def ready() -> bool:
    readiness.forget()
    return readiness.readiness().ready


def test_platform_with_all_it_needs_is_ready(worker: WorkerIdentity) -> None:
    scheduler_presence.note()
    checks = found()
    failed = {name for name, check in checks.items() if not check.ok}
    assert all(name.startswith("worker:") and not checks[name].required for name in failed)
    assert {"database", "schema", "broker", "storage", "disk", "scheduler", f"worker:{MODEL}"} <= set(checks)
    assert ready()


def test_model_that_generates_needs_a_worker_and_others_may_do_without() -> None:
    workers = {name: check.required for name, check in found().items() if name.startswith("worker:")}
    assert [name for name, required in workers.items() if required] == [f"worker:{MODEL}"]
    assert not ready()


def test_database_that_takes_no_writes_is_not_ready(worker: WorkerIdentity) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    # The pool hands the same connection out again.
    check = found()["database"]
    db.engine().dispose()
    assert (check.ok, check.detail) == (False, "It takes no writes.")


def test_database_that_is_away_leaves_the_rest_unknown(configure: Configure) -> None:
    db.engine().dispose()
    db.engine.cache_clear()
    configure(DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    checks = found()
    assert not checks["database"].ok
    assert "Unknown" in (checks[f"worker:{MODEL}"].detail or "")
    assert not ready()
    db.engine.cache_clear()


def test_older_schema_is_not_ready_and_a_newer_one_is(worker: WorkerIdentity) -> None:
    change("UPDATE alembic_version SET version_num = '0001'")
    check = found()["schema"]
    assert not check.ok
    assert "tokenmill db upgrade" in (check.detail or "")
    assert not ready()
    change("UPDATE alembic_version SET version_num = '9999'")
    assert found()["schema"].ok


def test_broker_that_is_away_is_not_ready(worker: WorkerIdentity, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise BrokerUnavailable

    monkeypatch.setattr(broker, "probe", away)
    assert not found()["broker"].ok
    assert not ready()


def test_redis_is_needed_only_where_nothing_passes_without_it(
    worker: WorkerIdentity, configure: Configure
) -> None:
    assert "redis" not in found()
    configure(REDIS_URL="redis://127.0.0.1:1/0")
    redis_client.client.cache_clear()
    assert not found()["redis"].ok
    assert ready()
    configure(TOKENMILL_LIMITS_WHEN_REDIS_IS_AWAY="closed")
    assert not ready()


def test_storage_that_takes_no_files_is_named_and_work_goes_on(
    worker: WorkerIdentity, configure: Configure
) -> None:
    configure(TOKENMILL_STORAGE_URL="/proc/no/folder/here")
    storage.cache_clear()
    assert found()["storage"] == Check(False, "Files can't be written.", required=False)
    assert ready()


def test_disk_that_is_nearly_full_is_named_and_work_goes_on(
    worker: WorkerIdentity, configure: Configure
) -> None:
    configure(TOKENMILL_MIN_FREE_DISK_BYTES=2**62)
    check = found()["disk"]
    assert (check.ok, check.required) == (False, False)
    assert ready()


def test_scheduler_that_was_not_heard_of_for_long_is_named_and_work_goes_on(worker: WorkerIdentity) -> None:
    assert not found()["scheduler"].ok
    scheduler_presence.note()
    assert found()["scheduler"].ok
    change("UPDATE schedulers SET last_seen_at = now() - interval '31 s'")
    assert not found()["scheduler"].ok
    assert ready()
    scheduler_presence.note()
    assert found()["scheduler"].ok
    assert row("SELECT count(*) FROM schedulers") == (1,)


def test_scheduler_of_yesterday_is_forgotten() -> None:
    scheduler_presence.note()
    change("UPDATE schedulers SET id = 'scheduler_old', last_seen_at = now() - interval '2 days'")
    scheduler_presence.note()
    assert row("SELECT count(*), bool_and(id <> 'scheduler_old') FROM schedulers") == (1, True)


def test_what_failed_again_and_again_is_named(worker: WorkerIdentity) -> None:
    circuit_of("mail").failed()
    check = found()["mail"]
    assert (check.ok, check.required) == (False, False)
    circuit.forget()
    assert "mail" not in found()


def test_answer_is_kept_for_a_second(worker: WorkerIdentity) -> None:
    readiness.forget()
    assert readiness.readiness() is readiness.readiness()

"""The platform as processes of its own, on real services, with short leases."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tasks import keys, projects
from tests.integration.inference.shallow_model import save_shallow
from tests.integration.processes.same_settings import same_settings
from tests.services.fixtures import Broker
from tests.services.platform import Platform, forking_platforms
from tests.services.ports import free_ports
from tests.services.postgres import PostgresServer

QUICK = {
    "worker_slots": 8,
    "lease_seconds": 4,
    "renew_interval_seconds": 0.5,
    "worker_silence_seconds": 1.5,
    # A message that a frozen worker was handed comes back so much later.
    "republish_after_seconds": 8,
    "checkpoint_interval_seconds": 0.2,
    "sweep_interval_seconds": 0.5,
    "relay_interval_seconds": 0.5,
    "web_processes": 1,
    "drain_grace_seconds": 1,
}


WHOLE = "whole"
"""The name of the packaged model with all of its layers, where the one of few layers has taken its own."""

_WHOLE_MODEL = f"""
[models.{WHOLE}]
source = "packaged:smollm2-135m-instruct"
quantization = "fp32"
context_length = 8192
prices = {{ input_usd = 0.02, cached_input_usd = 0.01, output_usd = 0.08 }}
"""


class Books:
    """What the database says, straight from its tables."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def row(self, query: str, *values: object) -> tuple[object, ...]:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                row = cursor.fetchone()
                assert row is not None
                return tuple(row)
        finally:
            connection.close()

    def charges(self, job_id: str) -> int:
        (count,) = self.row("SELECT count(*) FROM ledger_entries WHERE job_id = %s", job_id)
        assert isinstance(count, int)
        return count

    def assert_settled(self) -> None:
        """No job unfinished, no hold left, and spend, charges and costs the same."""
        assert self.row("SELECT count(*) FROM jobs WHERE ended_at IS NULL") == (0,)
        assert self.row("SELECT count(*) FROM holds") == (0,)
        assert self.row("SELECT count(*) FROM checkpoints") == (0,)
        held, spent = self.row("SELECT sum(held_usd), sum(spent_usd) FROM spend")
        assert held == 0
        assert (spent,) == self.row("SELECT coalesce(sum(amount_usd), 0) FROM ledger_entries")
        assert (spent,) == self.row("SELECT coalesce(sum(cost_usd), 0) FROM jobs")


def with_key(platform: Platform) -> Platform:
    """A project and a key to use."""
    with same_settings(platform.environment):
        project = projects.create_project(f"project-{uuid.uuid4().hex[:8]}")
        platform.use_key(keys.create_key(project.id, "tests").secret)
    return platform


@pytest.fixture(scope="package", autouse=True)
def zygotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes of every platform here start in no time."""
    with forking_platforms(tmp_path_factory.mktemp("zygotes")):
        yield


@pytest.fixture(scope="package")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings with which the packaged model has few layers: these tests are about processes."""
    return {"catalog_overrides": save_shallow(tmp_path_factory.mktemp("shallow")) + _WHOLE_MODEL}


@pytest.fixture(scope="module")
def standing(
    shallow: dict[str, str],
    postgres_server: PostgresServer,
    template_database: str,
    rabbitmq: Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """Web, scheduler and a worker, for a module's tests that leave them as they were."""
    url = postgres_server.create_database(f"test_{uuid.uuid4().hex}", template=template_database)
    prefix = f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("standing")
    with Platform(
        folder,
        database_url=url,
        broker_url=rabbitmq.url,
        queue_prefix=prefix,
        traces_file=folder / "traces",
        **QUICK | shallow,
    ) as started:
        with_key(started)
        scheduler_port, worker_port = free_ports(2)
        started.start_web(web_processes=2)
        started.start_scheduler(metrics_port=scheduler_port)
        started.start_worker(metrics_port=worker_port)
        yield started


@pytest.fixture
def platform(
    shallow: dict[str, str],
    database_url: str,
    rabbitmq: Broker,
    tmp_path: Path,
    postgres_server: PostgresServer,
) -> Iterator[Platform]:
    """No process yet; a database and queue names of the test's own."""
    prefix = f"{rabbitmq.queue_prefix}-{uuid.uuid4().hex[:6]}"
    with Platform(
        tmp_path,
        database_url=database_url,
        broker_url=rabbitmq.url,
        queue_prefix=prefix,
        **QUICK | shallow,
    ) as started:
        yield with_key(started)


@pytest.fixture
def books(database_url: str) -> Books:
    return Books(database_url)

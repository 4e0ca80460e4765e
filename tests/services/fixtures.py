"""Fixtures for the services, and an environment in which nothing of the caller's reaches the tests."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import databases
from tests.services import rabbitmq as rabbitmq_service
from tests.services import redis as redis_service
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer
from tests.services.redis import RedisServer
from tests.services.vhost import VirtualHost

TEMPLATE_DATABASE = "tokenmill_template"
SERVICE_VARIABLES = ("DATABASE_URL", rabbitmq_service.VARIABLE, redis_service.VARIABLE)


@dataclass(frozen=True)
class ConfiguredServices:
    """What the caller's environment says of services to use."""

    broker_url: str | None
    redis_url: str | None


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ, and the prefix of the names that this run may use on it."""

    url: str
    queue_prefix: str


CONFIGURED = pytest.StashKey[ConfiguredServices]()


def pytest_configure(config: pytest.Config) -> None:
    """Empty the environment before a test module is imported, since settings are read once."""
    config.stash[CONFIGURED] = ConfiguredServices(
        os.environ.get(rabbitmq_service.VARIABLE), os.environ.get(redis_service.VARIABLE)
    )
    for name in list(os.environ):
        if name.startswith("TOKENMILL_") or name in SERVICE_VARIABLES:
            del os.environ[name]


@pytest.fixture(scope="session")
def configured_services(pytestconfig: pytest.Config) -> ConfiguredServices:
    return pytestconfig.stash[CONFIGURED]


@pytest.fixture(scope="session")
def services_dir() -> Iterator[Path]:
    """Where servers keep their data: a short path, as a socket's may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="tokenmill-"))
    # A server may run as another user than the tests.
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(services_dir: Path) -> Iterator[PostgresServer]:
    """One Postgres for the whole run. Tests that stop it ask for private_postgres instead."""
    server = PostgresServer(services_dir / "postgres")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def template_database(postgres_server: PostgresServer) -> str:
    """The name of a database with every migration run and no connections."""
    from tasks.migrate import upgrade

    upgrade(postgres_server.create_database(TEMPLATE_DATABASE))
    with postgres_server.superuser(TEMPLATE_DATABASE) as run:
        run.execute(databases.PREPARE)
    postgres_server.freeze_database(TEMPLATE_DATABASE)
    return TEMPLATE_DATABASE


@pytest.fixture(scope="session")
def migrated_databases(postgres_server: PostgresServer, template_database: str) -> databases.Databases:
    return databases.Databases(postgres_server, template_database)


@pytest.fixture
def database_url(postgres_server: PostgresServer, migrated_databases: databases.Databases) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = migrated_databases.take()
    yield postgres_server.url(name)
    migrated_databases.give_back(name)


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of the test's own with nothing in it, for the migrations themselves."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def private_postgres(services_dir: Path) -> Iterator[PostgresServer]:
    """A running Postgres that the module's tests may stop, crash and start. Not migrated."""
    server = PostgresServer(services_dir / f"postgres-{uuid.uuid4().hex[:8]}")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def rabbitmq(configured_services: ConfiguredServices, services_dir: Path) -> Iterator[Broker]:
    """A broker for the whole run. Tests that stop it ask for private_rabbitmq instead."""
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    shared = rabbitmq_service.running_url(configured_services.broker_url)
    if shared is None:
        server = RabbitMQServer(services_dir / "rabbitmq")
        server.start()
        yield Broker(server.url, prefix)
        server.kill()
        return
    host = VirtualHost(shared, f"tokenmill-{prefix}")
    if host.create():
        yield Broker(host.url, prefix)
        host.remove()
    else:
        yield Broker(shared, prefix)


@pytest.fixture(scope="module")
def private_rabbitmq(services_dir: Path) -> Iterator[RabbitMQServer]:
    """A running broker that the module's tests may stop, crash and start."""
    server = RabbitMQServer(services_dir / f"rabbitmq-{uuid.uuid4().hex[:8]}")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_url(configured_services: ConfiguredServices, services_dir: Path) -> Iterator[str]:
    """A Redis for the whole run; it may hold other people's keys."""
    shared = redis_service.running_url(configured_services.redis_url)
    if shared is not None:
        yield shared
        return
    server = RedisServer(services_dir / "redis")
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(scope="module")
def private_redis(services_dir: Path) -> Iterator[RedisServer]:
    """A running Redis that the module's tests may stop, crash and start."""
    server = RedisServer(services_dir / f"redis-{uuid.uuid4().hex[:8]}")
    server.start()
    yield server
    server.kill()

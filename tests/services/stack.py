"""A whole platform on this machine: services, processes, one address, all under supervision."""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Self

from psycopg2.errors import DuplicateDatabase

from tests.services.balancer import Balancer
from tests.services.installation import install
from tests.services.member import Member
from tests.services.platform import REPOSITORY
from tests.services.ports import free_ports
from tests.services.postgres import PostgresServer
from tests.services.process_set import ProcessKind
from tests.services.rabbitmq import RabbitMQServer
from tests.services.redis import RedisServer
from tests.services.running import RunningPlatform
from tests.services.servers import ServiceServer, TokenmillServer

DATABASE = "tokenmill"
START_SECONDS = 180.0
# Linux allows a socket's path no more; Postgres appends a name of its own.
LONGEST_FOLDER = 107 - len("/postgres/.s.PGSQL.5432")

Tell = Callable[[str], None]


class Stack:
    """Its folder keeps databases, files and logs from one start to the next."""

    def __init__(self, folder: Path, kinds: Mapping[str, ProcessKind], *, port: int, tell: Tell) -> None:
        self.members: list[Member] = []
        self.running: RunningPlatform | None = None
        self._folder = folder
        self._kinds = kinds
        self._port = port
        self._tell = tell
        self._groups: list[list[Member]] = []
        self._balancer: Balancer | None = None
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._postgres = PostgresServer(folder / "postgres", durable=True)
        self._rabbitmq = RabbitMQServer(folder / "rabbitmq")
        self._redis = RedisServer(folder / "redis")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Everything ends in the opposite order; asked once more, at once."""
        try:
            for group in reversed(self._groups):
                _stop_together(group)
        except KeyboardInterrupt:
            for member in self.members:
                member.kill()
        if self._balancer is not None:
            self._balancer.stop()

    def start(self) -> RunningPlatform:
        """Start everything; returns when clients may connect. Raises ServiceError."""
        self._start_services()
        environment = self._environment()
        key = install(environment)
        self._start_processes(environment)
        password = environment["TOKENMILL_FLOWER_PASSWORD"]
        self._tell(f"flower is for {environment['TOKENMILL_FLOWER_USER']}, with the password {password}")
        assert self._balancer is not None
        self.running = RunningPlatform(
            url=self._balancer.url,
            api_key=key,
            database_url=environment["DATABASE_URL"],
            broker_url=environment["BROKER_URL"],
            redis_url=environment["REDIS_URL"],
            data_dir=Path(environment["TOKENMILL_DATA_DIR"]),
            logs=self._logs,
            pid=os.getpid(),
        )
        return self.running

    def wait_until_ready(self) -> None:
        """Until every process is. Raises ServiceError."""
        for member in self.members:
            member.wait_until_ready(START_SECONDS)

    def _start_services(self) -> None:
        services = {
            "postgres": (ServiceServer(self._postgres), "unix socket"),
            "rabbitmq": (ServiceServer(self._rabbitmq), self._rabbitmq.url.rpartition("@")[2].rstrip("/")),
            "redis": (ServiceServer(self._redis), self._redis.url.split("/")[2]),
        }
        self._start_group(
            [
                Member(name, server, address=address, tell=self._tell)
                for name, (server, address) in services.items()
            ]
        )
        self.wait_until_ready()
        with suppress(DuplicateDatabase):
            self._postgres.create_database(DATABASE)

    def _environment(self) -> dict[str, str]:
        data = self._folder / "data"
        return {
            **os.environ,
            "DATABASE_URL": self._postgres.url(DATABASE),
            "BROKER_URL": self._rabbitmq.url,
            "REDIS_URL": self._redis.url,
            "TOKENMILL_DATA_DIR": str(data),
            "TOKENMILL_RECEIPT_KEY": str(data / "receipt-key.pem"),
            "TOKENMILL_HOST": "127.0.0.1",
            "TOKENMILL_FLOWER_HOST": "127.0.0.1",
            "TOKENMILL_FLOWER_USER": "admin",
            "TOKENMILL_FLOWER_PASSWORD": secrets.token_urlsafe(12),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        }

    def _start_processes(self, environment: Mapping[str, str]) -> None:
        ports = _ports(self._kinds)
        self._balancer = Balancer(self._port, [first for first, *_ in ports["web"]])
        self._balancer.start()
        for name, kind in self._kinds.items():
            self._start_group(
                [
                    self._process(name, kind, number, own, environment)
                    for number, own in enumerate(ports[name])
                ]
            )

    def _process(
        self, name: str, kind: ProcessKind, number: int, ports: list[int], environment: Mapping[str, str]
    ) -> Member:
        numbered = f"{name}-{number + 1}" if kind.count > 1 else name
        server = TokenmillServer(kind, self._logs / f"{numbered}.log", environment, ports)
        address = " ".join(f"127.0.0.1:{port}" for port in ports)
        return Member(numbered, server, address=address, tell=self._tell)

    def _start_group(self, group: list[Member]) -> None:
        self._groups.append(group)
        self.members += group
        for member in group:
            member.start()


def _ports(kinds: Mapping[str, ProcessKind]) -> dict[str, list[list[int]]]:
    """Those of each process of each kind: all drawn at once, so that they differ."""
    free = iter(free_ports(sum(kind.count * len(kind.ports) for kind in kinds.values())))
    return {
        name: [list(islice(free, len(kind.ports))) for _ in range(kind.count)] for name, kind in kinds.items()
    }


def _stop_together(group: list[Member]) -> None:
    threads = [Thread(target=member.stop, daemon=True) for member in group]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

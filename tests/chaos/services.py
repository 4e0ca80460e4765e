"""Postgres, RabbitMQ and Redis for one run alone, the first two at the far end of lines that can be cut."""

from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

from tasks.migrate import upgrade
from tests.chaos.proxy import Proxy
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer
from tests.services.redis import RedisServer

_DATABASE = "chaos"
_POSTGRES_SOCKET = ".s.PGSQL.5432"


class Server(Protocol):
    """One that can be stopped, crashed and started again with what it had on disk."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class Services:
    """A context manager. The platform gets the URLs of the lines, the run itself those of the servers."""

    def __init__(self, folder: Path) -> None:
        # A server may run as another user.
        folder.chmod(0o755)
        self._postgres = PostgresServer(folder / "postgres")
        self._rabbitmq = RabbitMQServer(folder / "rabbitmq")
        self._redis = RedisServer(folder / "redis")
        self._stack = ExitStack()
        self.servers: dict[str, Server] = {
            "database": self._postgres,
            "broker": self._rabbitmq,
            "redis": self._redis,
        }
        self.lines = {
            "database": Proxy.to_unix_socket(str(folder / "postgres" / _POSTGRES_SOCKET)),
            "broker": Proxy.to_port(urlsplit(self._rabbitmq.url).port or 0),
        }

    def __enter__(self) -> Self:
        with self._stack as started:
            for server in self.servers.values():
                started.callback(server.kill)
                server.start()
            for line in self.lines.values():
                started.enter_context(line)
            self._postgres.create_database(_DATABASE)
            upgrade(self.own_database_url)
            self._stack = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def own_database_url(self) -> str:
        return self._postgres.url(_DATABASE)

    @property
    def database_url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.lines['database'].port}/{_DATABASE}?sslmode=disable"

    @property
    def own_broker_url(self) -> str:
        return self._rabbitmq.url

    @property
    def broker_url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.lines['broker'].port}//"

    @property
    def redis_url(self) -> str:
        return self._redis.url

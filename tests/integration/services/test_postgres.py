from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

from tests.services.postgres import PostgresServer


def insert(url: str, value: int) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (value integer)")
        cursor.execute("INSERT INTO kept VALUES (%s)", [value])


def values(url: str) -> list[int]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM kept ORDER BY value")
        return [value for (value,) in cursor.fetchall()]


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill], ids=["stop", "crash"])
def test_committed_rows_outlive_the_server(
    private_postgres: PostgresServer, end: Callable[[PostgresServer], None], request: pytest.FixtureRequest
) -> None:
    url = private_postgres.create_database(f"rows_{request.node.callspec.id}")
    insert(url, 1)
    end(private_postgres)
    assert not private_postgres.answers()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
    private_postgres.start()
    insert(url, 2)
    assert values(url) == [1, 2]


def test_a_copied_database_has_the_template_s_rows_and_can_be_dropped(
    postgres_server: PostgresServer,
) -> None:
    insert(postgres_server.create_database("copy_source"), 7)
    postgres_server.freeze_database("copy_source")
    copy = postgres_server.create_database("copy", template="copy_source")
    assert values(copy) == [7]
    postgres_server.drop_database("copy")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(copy)

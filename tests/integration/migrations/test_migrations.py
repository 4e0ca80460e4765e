"""The schema's history, on a real Postgres."""

import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import InternalError
from sqlalchemy.pool import NullPool

from tasks import migrate
from tasks.db import psycopg2_url
from tasks.errors import DatabaseUnavailable, SchemaOutdated
from tasks.models import Base
from tests.services.platform import REPOSITORY

ROWS = """
INSERT INTO models (name, source, quantization, context_length) VALUES ('m', 'packaged:m', 'fp32', 100);
INSERT INTO projects (id, name) VALUES ('proj_1', 'one');
INSERT INTO jobs (id, project_id, type, model, status, request, prompt_token_ids,
    prompt_tokens, max_tokens, seed, price_input_usd, price_cached_input_usd, price_output_usd,
    expires_at, ended_at)
    VALUES ('job_1', 'proj_1', 'chat', 'm', 'completed', '{}', '{1,2}', 2, 5, 0, 1, 1, 1, now(), now());
INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd)
    VALUES ('charge:job_1', 'proj_1', 'job_1', 'charge', 0.000007);
"""
ROLE_NAMED = "SELECT FROM pg_roles WHERE rolname = :name"


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[Connection]:
    engine = create_engine(psycopg2_url(empty_database_url), poolclass=NullPool)
    with engine.connect() as opened:
        yield opened


def revisions() -> list[str]:
    script = ScriptDirectory.from_config(migrate._config(""))
    return [revision.revision for revision in script.walk_revisions()][::-1]


def test_models_and_migrations_agree(empty_database_url: str, connection: Connection) -> None:
    migrate.upgrade(empty_database_url)
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    assert compare_metadata(context, Base.metadata) == []


def test_tables_are_stored_as_their_models_say(empty_database_url: str, connection: Connection) -> None:
    """Alembic compares no storage parameters."""
    migrate.upgrade(empty_database_url)
    stored = text("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL")
    found = {row.relname: sorted(row.reloptions) for row in connection.execute(stored)}
    told = {
        table.name: table.dialect_options["postgresql"]["with"] for table in Base.metadata.tables.values()
    }
    assert found == {
        name: sorted(f"{option}={value}" for option, value in options.items())
        for name, options in told.items()
        if options
    }
    assert {"jobs", "spend"} <= found.keys()


def test_every_migration_works_on_a_database_with_rows(
    empty_database_url: str, connection: Connection
) -> None:
    first, *later = revisions()
    migrate.upgrade(empty_database_url, first)
    connection.execute(text(ROWS))
    connection.commit()
    for revision in later:
        migrate.upgrade(empty_database_url, revision)
    assert migrate.current(empty_database_url) == migrate.head()
    assert (
        connection.execute(text("SELECT count(*) FROM jobs JOIN ledger_entries ON job_id = jobs.id")).scalar()
        == 1
    )


def test_migrating_from_three_processes_at_once_migrates_once(empty_database_url: str) -> None:
    command = "import sys; from tasks.migrate import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", command, empty_database_url], cwd=REPOSITORY)
        for _ in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    migrate.check(empty_database_url)


def test_outdated_schema_is_named_with_the_command_that_helps(empty_database_url: str) -> None:
    with pytest.raises(SchemaOutdated, match=r"revision none, .*tokenmill db upgrade"):
        migrate.check(empty_database_url)
    migrate.upgrade(empty_database_url, revisions()[0])
    with pytest.raises(SchemaOutdated, match="revision 0001"):
        migrate.check(empty_database_url)


def test_newer_schema_is_accepted_so_that_old_processes_go_on(
    empty_database_url: str, connection: Connection
) -> None:
    migrate.upgrade(empty_database_url)
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    connection.commit()
    migrate.check(empty_database_url)
    # As a deployment of the old release does that somebody goes back to.
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == "9999"


def test_database_that_is_away_is_said_to_be() -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate.current("postgresql://127.0.0.1:1/nowhere")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entries SET amount_usd = 0",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
    ],
)
def test_ledger_refuses_every_change(empty_database_url: str, connection: Connection, change: str) -> None:
    migrate.upgrade(empty_database_url)
    connection.execute(text(ROWS))
    connection.commit()
    with pytest.raises(InternalError, match="append-only"):
        connection.execute(text(change))
    connection.rollback()
    assert connection.execute(text("SELECT count(*) FROM ledger_entries")).scalar() == 1


def test_downgrading_to_nothing_leaves_nothing(empty_database_url: str, connection: Connection) -> None:
    from alembic import command

    migrate.upgrade(empty_database_url)
    command.downgrade(migrate._config(empty_database_url), "base")
    assert inspect(connection).get_table_names() == ["alembic_version"]


def test_owner_who_may_not_create_roles_migrates_without_one(
    empty_database_url: str, connection: Connection
) -> None:
    owner = f"owner_{uuid.uuid4().hex}"
    database = connection.execute(text("SELECT current_database()")).scalar_one()
    connection.execute(text(f"CREATE ROLE {owner}"))
    connection.execute(text(f"ALTER DATABASE {database} OWNER TO {owner}"))
    there = connection.execute(text(ROLE_NAMED), {"name": "tokenmill_readonly"}).first() is not None
    if there:
        # Roles belong to the server, which other tests share.
        connection.execute(text("ALTER ROLE tokenmill_readonly RENAME TO tokenmill_aside"))
    connection.commit()
    separator = "&" if "?" in empty_database_url else "?"
    try:
        migrate.upgrade(f"{empty_database_url}{separator}options=-crole%3D{owner}")
        assert migrate.current(empty_database_url) == migrate.head()
        assert connection.execute(text("SELECT count(*) FROM billing_daily")).scalar_one() == 0
        assert connection.execute(text(ROLE_NAMED), {"name": "tokenmill_readonly"}).first() is None
    finally:
        if there:
            connection.execute(text("ALTER ROLE tokenmill_aside RENAME TO tokenmill_readonly"))
        connection.commit()

"""Databases for tests, used again: making one from a template costs far more than emptying it.

A database whose schema a test has changed, or that it has filled, is dropped. One that is used again has
another name, so that whatever a test left running finds it no more.
"""

import uuid

from psycopg2 import sql

from tests.services.postgres import PostgresServer

LARGEST_BYTES = 30_000_000

PREPARE = """
    CREATE SCHEMA reuse;
    CREATE TABLE reuse.changes ();
    CREATE FUNCTION reuse.note_change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
                   WHERE schema_name IS DISTINCT FROM 'pg_temp') THEN
            INSERT INTO reuse.changes DEFAULT VALUES;
        END IF;
    END $$;
    CREATE FUNCTION reuse.note_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary) THEN
            INSERT INTO reuse.changes DEFAULT VALUES;
        END IF;
    END $$;
    DO $$
    DECLARE name text; filled boolean;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
            IF filled THEN
                EXECUTE format('CREATE TABLE reuse.%I AS TABLE public.%I', 'rows_of_' || name, name);
            END IF;
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER reuse_change ON ddl_command_end EXECUTE FUNCTION reuse.note_change();
    CREATE EVENT TRIGGER reuse_drop ON sql_drop EXECUTE FUNCTION reuse.note_drop();
"""
EMPTY = """
    SET session_replication_role = replica;
    DO $$
    DECLARE name text; kept text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('DELETE FROM public.%I', name);
        END LOOP;
        FOR kept IN SELECT tablename FROM pg_tables WHERE schemaname = 'reuse' AND tablename <> 'changes' LOOP
            name := substr(kept, length('rows_of_') + 1);
            EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE reuse.%I', name, kept);
        END LOOP;
        PERFORM setval(seqrelid::regclass, seqstart, false) FROM pg_sequence;
    END $$
"""


class Databases:
    """Copies of one template, each for one test at a time."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._spare: list[str] = []

    def take(self) -> str:
        """The name of one that is as the template."""
        name = f"test_{uuid.uuid4().hex}"
        if self._spare:
            self._server.rename_database(self._spare.pop(), name)
        else:
            self._server.create_database(name, template=self._template)
        return name

    def give_back(self, name: str) -> None:
        """Whoever is still in it is put out."""
        spare = f"spare_{uuid.uuid4().hex}"
        self._server.rename_database(name, spare)
        if self._as_good_as_new(spare):
            self._spare.append(spare)
        else:
            self._server.drop_database(spare)

    def _as_good_as_new(self, name: str) -> bool:
        with self._server.superuser(name) as run:
            run.execute(
                "SELECT EXISTS (TABLE reuse.changes) OR pg_database_size(%s) > %s", [name, LARGEST_BYTES]
            )
            (spoilt,) = run.fetchone() or (True,)
            if not spoilt:
                run.execute(sql.SQL(EMPTY))
            return not spoilt

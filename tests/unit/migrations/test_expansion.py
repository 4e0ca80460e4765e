"""Migrations expand: what the release before them needs stays until nobody needs it."""

import pytest
from alembic.script import Script, ScriptDirectory

from tasks import migrate
from tests.unit.migrations.expansion import contractions, upgrade_sql

# What a migration takes away, and the release that was the first to do without it. By then all processes of
# the release before that one are gone, so none is left that would miss it.
NO_LONGER_USED: dict[str, dict[str, str]] = {}


def scripts() -> list[Script]:
    return list(ScriptDirectory.from_config(migrate._config("")).walk_revisions())


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.revision)
def test_migration_takes_nothing_from_the_release_before_it(script: Script) -> None:
    before = script.down_revision
    assert before is None or isinstance(before, str)
    found = contractions(upgrade_sql(script.revision, before))
    assert sorted(found) == sorted(NO_LONGER_USED.get(script.revision, {})), (
        "Processes of the previous release run against this schema. Expand it now, and take away what is "
        "no longer used in a later release, listed in NO_LONGER_USED."
    )


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DROP TABLE jobs;", "drops table jobs"),
        ("DROP VIEW IF EXISTS billing_daily CASCADE;", "drops view billing_daily"),
        ("DROP FUNCTION count_usage();", "drops function count_usage"),
        ("ALTER TABLE jobs RENAME TO work;", "renames jobs"),
        ("ALTER VIEW billing_daily RENAME TO daily;", "renames billing_daily"),
        ("ALTER TABLE jobs RENAME COLUMN seed TO start;", "renames column jobs.seed"),
        ("ALTER TABLE jobs RENAME seed TO start;", "renames column jobs.seed"),
        ("alter table jobs\n  add column x int,\n  drop column seed;", "drops column jobs.seed"),
        ("ALTER TABLE jobs DROP seed;", "drops column jobs.seed"),
        ("ALTER TABLE jobs ALTER COLUMN seed TYPE NUMERIC(24, 12);", "changes the type of jobs.seed"),
        ("ALTER TABLE jobs ALTER seed SET DATA TYPE text;", "changes the type of jobs.seed"),
        ("ALTER TABLE jobs ALTER COLUMN owner SET NOT NULL;", "requires jobs.owner"),
        ("ALTER TABLE jobs ADD COLUMN place TEXT NOT NULL;", "requires jobs.place"),
        ("ALTER TABLE jobs ALTER COLUMN seed DROP DEFAULT;", "drops the default of jobs.seed"),
    ],
)
def test_what_old_code_would_miss_is_found(sql: str, found: str) -> None:
    assert contractions(sql) == [found]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE news (id text NOT NULL); ALTER TABLE news ALTER COLUMN id TYPE uuid; DROP TABLE news;",
        "ALTER TABLE jobs ADD COLUMN place TEXT;",
        "ALTER TABLE jobs ADD COLUMN place TEXT DEFAULT 'here; there' NOT NULL;",
        "ALTER TABLE jobs ADD COLUMN place TEXT; ALTER TABLE jobs ALTER COLUMN place SET NOT NULL; "
        "ALTER TABLE jobs ALTER COLUMN place SET DEFAULT 'here';",
        "ALTER TABLE jobs ADD CONSTRAINT ck CHECK (place IS NOT NULL OR seed > 0) NOT VALID;",
        "ALTER TABLE jobs DROP CONSTRAINT ck_jobs_type_known;",
        "ALTER TABLE jobs RENAME CONSTRAINT a TO b;",
        "ALTER TABLE jobs ALTER COLUMN owner DROP NOT NULL;",
        "DROP INDEX ix_jobs_queued; DROP TRIGGER counted ON jobs;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE x; END $$;",
        "COMMENT ON TABLE jobs IS 'never; DROP TABLE jobs; '; -- DROP TABLE jobs;\n",
    ],
)
def test_what_old_code_does_not_notice_is_let_pass(sql: str) -> None:
    assert contractions(sql) == []


def test_every_exception_names_a_migration_and_the_release_that_stopped_using_it() -> None:
    assert set(NO_LONGER_USED) <= {script.revision for script in scripts()}
    assert all(release for taken in NO_LONGER_USED.values() for release in taken.values())

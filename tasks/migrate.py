"""The schema's version: bring it up to date, or say that it is not."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

import migrations
from tasks.db import is_outage, unpooled_engine
from tasks.errors import DatabaseUnavailable, SchemaOutdated


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run what migrations are missing. Safe to call from several processes at once.

    A newer release's schema is left as it is, so that going back to this release is to start it again.
    Raises DatabaseUnavailable.
    """
    if is_newer(current(database_url)):
        return
    command.upgrade(_config(database_url), revision)


@cache
def head() -> str | None:
    """The revision that this version of the code needs."""
    return _scripts().get_current_head()


def current(database_url: str) -> str | None:
    """The database's revision, None for an empty one. Raises DatabaseUnavailable."""
    try:
        with unpooled_engine(database_url).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        if is_outage(error):
            raise DatabaseUnavailable from error
        raise


def check(database_url: str) -> None:
    """Raises SchemaOutdated where migrations are missing, DatabaseUnavailable."""
    found = current(database_url)
    if is_outdated(found):
        raise SchemaOutdated(
            f"The database is at revision {found or 'none'}, this version needs {head()}; "
            "run `tokenmill db upgrade`."
        )


def is_outdated(found: str | None) -> bool:
    """Whether a database at this revision lacks migrations.

    Migrations only ever expand what the version before them needs, so during an upgrade old processes go on.
    """
    return found != head() and not is_newer(found)


def is_newer(found: str | None) -> bool:
    """Whether a database is at a revision that this code has never heard of."""
    return found is not None and found not in _known()


@cache
def _known() -> frozenset[str]:
    """All revisions that this version knows."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(""))

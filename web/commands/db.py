"""`tokenmill db`."""

import click

from tasks import migrate
from tasks.settings import settings


@click.group(short_help="Prepare and check the database.")
def db() -> None:
    """Prepare and check the database at DATABASE_URL."""


@db.command()
def upgrade() -> None:
    """Bring the database to this version's schema.

    Safe to run again, from several machines at once, and while older processes are running.
    """
    migrate.upgrade(settings().database_url)
    found = migrate.current(settings().database_url)
    click.echo(
        f"The database is at revision {found}{', of a newer release' if migrate.is_newer(found) else ''}."
    )


@db.command()
def check() -> None:
    """Say whether the schema is this version's; exit with 1 if it is not."""
    migrate.check(settings().database_url)
    click.echo("The database is up to date.")


@db.command()
def current() -> None:
    """Print the database's revision."""
    click.echo(migrate.current(settings().database_url) or "none")

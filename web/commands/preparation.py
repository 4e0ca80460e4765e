"""What commands check before they start serving or working."""

import socket

import click
import structlog

from tasks import migrate
from tasks.errors import DatabaseUnavailable
from tasks.settings import settings
from web.server import bind

log = structlog.get_logger(__name__)


def require_schema() -> None:
    """Refuse to run against a database of another version. Raises SchemaOutdated.

    A database that is away is no reason not to start: every process waits for it.
    """
    try:
        migrate.check(settings().database_url)
    except DatabaseUnavailable:
        log.warning("starting without the database", action="database_away_at_start")


def bound_socket(host: str, port: int) -> socket.socket:
    """The socket to serve on, or the reason why there is none."""
    try:
        return bind(host, port)
    except OSError as error:
        raise click.ClickException(
            f"Can't listen on {host}:{port}: {error.strerror or error}. Choose another with --port."
        ) from error

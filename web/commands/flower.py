"""`tokenmill flower`."""

import os
import sys
from ipaddress import ip_address

import click

from tasks import logs
from tasks.broker import in_memory
from tasks.settings import settings
from web.commands.preparation import require_schema


@click.command(short_help="Watch workers and their tasks in a browser.")
@click.option("--host", help="Address to listen on.  [default: TOKENMILL_FLOWER_HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: TOKENMILL_FLOWER_PORT or 5555]")
@click.option("--no-auth", is_flag=True, help="Ask for no password; on this machine only, and only to look.")
def flower(host: str | None, port: int | None, no_auth: bool) -> None:
    """Watch workers, jobs and slices of batches in a browser, with Flower.

    Needs RabbitMQ at BROKER_URL, Postgres at DATABASE_URL to cancel jobs with, and a user and a password
    in TOKENMILL_FLOWER_USER and TOKENMILL_FLOWER_PASSWORD. What it has seen is kept in TOKENMILL_DATA_DIR.

    \b
    Examples:
      TOKENMILL_FLOWER_PASSWORD=… tokenmill flower --host 0.0.0.0
      tokenmill flower --no-auth
    """
    for name, value in (("HOST", host), ("PORT", port)):
        if value is not None:
            os.environ[f"TOKENMILL_FLOWER_{name}"] = str(value)
    settings.cache_clear()
    logs.configure()
    _check(no_auth)
    require_schema()
    arguments = ["-m", "web.flower_process"]
    if no_auth:
        os.environ.pop("TOKENMILL_FLOWER_PASSWORD", None)
        arguments.append("--read-only")
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - the interpreter that runs this


def _check(no_auth: bool) -> None:
    if in_memory():
        raise click.UsageError("The platform in one process has no broker that Flower could watch.")
    if no_auth and not _is_loopback(settings().flower_host):
        raise click.UsageError("--no-auth is for this machine only: listen on 127.0.0.1.")
    if not no_auth and settings().flower_credentials() is None:
        raise click.UsageError(
            "Flower needs a password in TOKENMILL_FLOWER_PASSWORD, or --no-auth on this machine."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

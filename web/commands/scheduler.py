"""`tokenmill scheduler`."""

import os
import sys

import click

from tasks import logs
from web.commands.preparation import require_schema


@click.command(short_help="Run the timetable: expiries, retries, dead workers.")
def scheduler() -> None:
    """Run the timetable: publish what the broker missed, requeue the jobs of dead workers, expire jobs.

    Run one, or two for safety: they do not get in each other's way. Needs Postgres at DATABASE_URL and
    RabbitMQ at BROKER_URL.
    """
    logs.configure()
    require_schema()
    os.execv(sys.executable, [sys.executable, "-m", "tasks.scheduler_process"])  # noqa: S606 - the interpreter that runs this

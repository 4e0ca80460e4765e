"""`tokenmill worker`."""

import os
import sys
from secrets import token_hex

import click

from tasks import logs
from tasks.settings import settings
from web.commands.preparation import require_schema


@click.command(short_help="Run a model and work through its queue.")
@click.option(
    "--model",
    help="A model of the catalogue.  [default: TOKENMILL_WORKER_MODEL or the first that generates]",
)
@click.option(
    "--slots", type=click.IntRange(1, 1024), help="Jobs at a time.  [default: TOKENMILL_WORKER_SLOTS or 64]"
)
def worker(model: str | None, slots: int | None) -> None:
    """Run a model and work through its queue.

    One worker for each device. Needs Postgres at DATABASE_URL and RabbitMQ at BROKER_URL.

    \b
    Examples:
      tokenmill worker
      tokenmill worker --model smollm2-135m-instruct --slots 32
      tokenmill worker --model all-minilm-l6-v2

    It becomes `celery -A tasks.app worker`, which may as well be run directly, with a `-n NAME@%h` of
    its own where several run on one machine. SIGTERM lets running jobs finish and hands the rest to
    other workers.
    """
    if model is not None:
        os.environ["TOKENMILL_WORKER_MODEL"] = model
    if slots is not None:
        os.environ["TOKENMILL_WORKER_SLOTS"] = str(slots)
    settings.cache_clear()
    logs.configure()
    settings().served_model()
    require_schema()
    # RabbitMQ gives a node's control queue to one worker alone, so two on a machine need different names.
    node = f"{settings().served_model().name}-{token_hex(3)}@%h"
    arguments = ["-m", "celery", "-A", "tasks.app", "--quiet", "worker", "-n", node]
    arguments += ["--without-gossip", "--without-mingle"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - the interpreter that runs this

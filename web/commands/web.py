"""`tokenmill web`."""

from typing import Any

import click

from tasks import db, logs
from tasks.settings import settings
from tasks.torchless import keep_torch_out
from web.commands.preparation import bound_socket, require_schema
from web.server import Server
from web.shared_metrics import shared_metrics


@click.command(short_help="Serve the HTTP API.")
@click.option("--host", help="Address to listen on.  [default: TOKENMILL_HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: TOKENMILL_PORT or 8000]")
@click.option("--processes", type=click.IntRange(1), help="[default: TOKENMILL_WEB_PROCESSES or 2]")
@click.option(
    "--threads", type=click.IntRange(1), help="In each process.  [default: TOKENMILL_WEB_THREADS or 1400]"
)
def web(host: str | None, port: int | None, processes: int | None, threads: int | None) -> None:
    """Serve the HTTP API.

    Needs Postgres at DATABASE_URL, and RabbitMQ at BROKER_URL to pass jobs on. With several of these,
    set REDIS_URL so that they count requests together.

    \b
    Examples:
      tokenmill web
      tokenmill web --host 0.0.0.0 --port 80 --processes 4

    SIGTERM or Ctrl-C lets requests finish.
    """
    keep_torch_out()
    logs.configure()
    require_schema()
    settings().model_catalog()
    # Inherited by the processes that serve.
    db.name_process("web")
    listener = bound_socket(host or settings().host, settings().port if port is None else port)
    options: dict[str, Any] = {
        "workers": processes or settings().web_processes,
        "threads": threads or settings().web_threads,
    }
    with shared_metrics() as hooks:
        Server(listener, options | hooks).run()

"""`tokenmill status`."""

import logging

import click


@click.command(short_help="Show how the platform stands.")
@click.option(
    "--watch",
    "every_seconds",
    type=click.FloatRange(min=0.5),
    is_flag=False,
    flag_value=2.0,
    metavar="[SECONDS]",
    help="Look again and again, every 2 seconds if none are given, until Ctrl-C.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look, on a line.")
def status(every_seconds: float | None, as_json: bool) -> None:
    """Show workers, queues, traffic, errors, batches and spending on one screen.

    Reads Postgres at DATABASE_URL and knocks at BROKER_URL; it needs no running process. Workers are those
    that registered, processes are those that have a connection to the database: a web process is not seen
    before its first request.

    \b
    Examples:
      tokenmill status
      tokenmill status --watch
      tokenmill status --watch 10 --json >> status.jsonl
    """
    from tasks import logs, migrate
    from tasks.settings import settings
    from web.status_watch import show_once, watch

    logs.configure()
    # What goes wrong is on the screen.
    logging.disable(logging.WARNING)
    click.get_current_context().call_on_close(lambda: logging.disable(logging.NOTSET))
    if every_seconds is None:
        migrate.check(settings().database_url)
        show_once(as_json=as_json)
    else:
        watch(every_seconds, as_json=as_json)

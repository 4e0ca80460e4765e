"""`tokenmill serve`."""

import shlex
from contextlib import suppress
from pathlib import Path

import click

from tasks import logs
from tasks.settings import settings
from web.commands.preparation import bound_socket
from web.server import url_of


@click.command(short_help="Run the whole platform in one process.")
@click.option("--embedded", is_flag=True, help="Bring everything along: database, broker, worker and model.")
@click.option("--host", help="Address to listen on.  [default: TOKENMILL_HOST or 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0 picks a free one.  [default: TOKENMILL_PORT or 8000]"
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where jobs and the key are kept.  [default: TOKENMILL_DATA_DIR or ~/.local/share/tokenmill]",
)
def serve(embedded: bool, host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Run the whole platform in one process, with no services to set up.

    Prints a key, and three commands to try it with. The key stays the same from start to start, and so
    do the jobs: what Ctrl-C leaves unfinished goes on at the next start.

    \b
    Examples:
      tokenmill serve --embedded
      tokenmill serve --embedded --port 8080 --data-dir ./data
    """
    if not embedded:
        raise click.UsageError(
            "Say --embedded to run everything in one process; for separate processes there are "
            "`tokenmill web`, `tokenmill worker` and `tokenmill scheduler`."
        )
    from web import embedded as platform

    logs.configure()
    data_dir = data_dir or settings().data_dir
    model = settings().served_model().name
    listener = bound_socket(host or settings().host, settings().port if port is None else port)
    url = url_of(listener)
    with platform.embedded_platform(data_dir):
        click.echo(banner(url, platform.installation_key(data_dir), model))
        platform.serve(listener, on_ready=_say_ready, on_stopping=_say_stopping)
    _say("Stopped. Unfinished jobs go on at the next start.")


def banner(url: str, key: str, model: str) -> str:
    """What a newcomer needs to see, ready to be pasted."""
    job = f'{{"type": "chat", "model": "{model}", "temperature": 0, '
    job += '"messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    authorization = f"-H {shlex.quote(f'Authorization: Bearer {key}')}"
    json_type = "-H 'Content-Type: application/json'"
    return "\n".join(
        (
            "",
            f"Tokenmill on {url}   (documentation: {url}/docs)",
            f"API key: {key}",
            "",
            "Submit a job, see the newest job with its answer and what it cost, list the models:",
            "",
            f"curl -sS {url}/v1/jobs {authorization} {json_type} -d {shlex.quote(job)}",
            "",
            f"curl -sS {shlex.quote(f'{url}/v1/jobs?limit=1')} {authorization}",
            "",
            f"curl -sS {url}/v1/models {authorization}",
            "",
            "Ctrl-C stops it. The model is loading; jobs submitted meanwhile wait for it.",
        )
    )


def _say(text: str) -> None:
    # Nobody may be reading any more, which is no reason to stop serving or not to drain.
    with suppress(OSError):
        click.echo(text)


def _say_ready() -> None:
    _say("Ready: the model is loaded.")


def _say_stopping() -> None:
    grace_seconds = round(settings().drain_grace_seconds)
    _say(f"\nStopping: running jobs have up to {grace_seconds} s to finish. Ctrl-C again stops at once.")

"""`tokenmill batch`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from web.commands.table import table

DEFAULT_URL = "http://127.0.0.1:8000/v1"

Command = TypeVar("Command", bound=Callable[..., Any])


def _connected(command: Command) -> Command:
    """Where the platform is, and who asks."""
    url = click.option(
        "--url",
        envvar=["TOKENMILL_URL", "OPENAI_BASE_URL"],
        default=DEFAULT_URL,
        help=f"The platform.  [default: TOKENMILL_URL, OPENAI_BASE_URL or {DEFAULT_URL}]",
    )
    key = click.option(
        "--key",
        envvar=["TOKENMILL_API_KEY", "OPENAI_API_KEY"],
        required=True,
        help="An API key.  [default: TOKENMILL_API_KEY or OPENAI_API_KEY]",
    )
    return url(key(command))


@click.group(short_help="Run files of requests; watch and cancel batches.")
def batch() -> None:
    """Run files of requests as batches, watch them and cancel them.

    A client of the HTTP API: it needs a key and nothing else of the platform's.
    """


@batch.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where results go.")
@click.option("--endpoint", help="Of JSON lines.  [default: the first line's url]")
@click.option("--window", default="24h", show_default=True, help="Within which to finish: 1h to 7d.")
@click.option("--estimate", is_flag=True, help="Only say what it would take and cost.")
@click.option("--prompt", help="Of a table: what to ask of each row, with columns in braces.")
@click.option("--system", help="Of a table: the system message, with columns in braces.")
@click.option("--model", help="Of a table: the model to ask.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Of a table: for each answer.")
@click.option("--prefix", default="", help="Of a table: ahead of the names of result columns.")
@click.option("--skip-invalid", is_flag=True, help="Run the other lines where some are invalid.")
@click.option("--max-cost-usd", help="Start nothing that could cost more.")
@click.option("--again", is_flag=True, help="Start anew, also where the same input was run before.")
@_connected
def run(
    file: Path,
    output: Path | None,
    endpoint: str | None,
    window: str,
    estimate: bool,
    skip_invalid: bool,
    max_cost_usd: str | None,
    again: bool,
    url: str,
    key: str,
    **of_table: Any,
) -> None:
    """Run a file: upload it, start a batch, watch it, and download the results.

    FILE holds requests as JSON lines, or is a table (.csv, .parquet) whose rows fill in --prompt.
    Answers to JSON lines go to FILE.output.jsonl (errors beside them, to FILE.output.errors.jsonl);
    a table is written again with the columns answer, error, input_tokens and output_tokens added.

    Interrupted with Ctrl-C, the batch goes on; the same command picks it up again, on any machine.

    \b
    Examples:
      tokenmill batch run requests.jsonl --estimate
      tokenmill batch run requests.jsonl -o answers.jsonl
      tokenmill batch run reviews.csv --model smollm2 --prompt "Summarize: {text}" --max-tokens 60

    \b
    Exit codes:
      0    every line has an answer
      1    it did not work; the last line says why
      2    the command is wrong
      3    completed, but some lines have errors instead of answers
      4    the batch failed, expired or was cancelled; what had finished is written
      130  interrupted; the batch goes on
    """
    from web.batch_client.api import BatchApi
    from web.batch_client.estimate import estimate_lines
    from web.batch_client.run import INTERRUPTED, Run, Terms, check_out, how_to_go_on
    from web.batch_client.screen import Screen

    out = output or file.with_name(f"{file.stem}.output{file.suffix}")
    check_out(out, file)
    source = _source(file, endpoint, **of_table)
    options = {"on_invalid_line": "skip"} if skip_invalid else {}
    if max_cost_usd is not None:
        options["max_cost_usd"] = max_cost_usd
    screen = Screen()
    with BatchApi(url, key) as api:
        errand = Run(api, screen, source, file.name, Terms(window=window, options=options, again=again))
        try:
            if not estimate:
                sys.exit(errand.to_the_end(out))
            click.echo("\n".join(estimate_lines(errand.estimate())))
        except KeyboardInterrupt:
            screen.say(how_to_go_on(errand))
            sys.exit(INTERRUPTED)


def _source(
    file: Path,
    endpoint: str | None,
    *,
    prompt: str | None,
    system: str | None,
    model: str | None,
    max_tokens: int | None,
    prefix: str,
) -> Any:
    from web.batch_client.source import CHAT, Asked, JsonlSource, TableSource
    from web.batch_client.tables import open_table
    from web.batch_client.template import PromptTemplate

    rows = open_table(file)
    if rows is None:
        if prompt or system or model or max_tokens or prefix:
            raise click.UsageError("--prompt and what belongs to it are for tables: .csv and .parquet files.")
        return JsonlSource(file, endpoint)
    if prompt is None or model is None:
        raise click.UsageError("A table needs --prompt and --model.")
    if endpoint not in (None, CHAT):
        raise click.UsageError(f"Tables are run as chats, at {CHAT}.")
    asked = Asked(
        prompt=PromptTemplate.parse(prompt),
        system=None if system is None else PromptTemplate.parse(system),
        model=model,
        max_tokens=max_tokens,
    )
    return TableSource(rows, asked, prefix)


@batch.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@_connected
def list_command(limit: int, url: str, key: str) -> None:
    """List batches, the newest first."""
    from itertools import islice

    from web.batch_client.api import BatchApi
    from web.batch_client.show import BATCH_COLUMNS, batch_row

    with BatchApi(url, key) as api:
        click.echo(table(BATCH_COLUMNS, [batch_row(one) for one in islice(api.batches(), limit)]))


@batch.command()
@click.argument("batch_id")
@_connected
def status(batch_id: str, url: str, key: str) -> None:
    """Say how a batch stands."""
    from web.batch_client.api import BatchApi
    from web.batch_client.show import batch_lines

    with BatchApi(url, key) as api:
        click.echo("\n".join(batch_lines(api.batch(batch_id))))


@batch.command()
@click.argument("batch_id")
@_connected
def cancel(batch_id: str, url: str, key: str) -> None:
    """Cancel a batch: what has finished stays readable, and nothing else is charged."""
    from web.batch_client.api import BatchApi

    with BatchApi(url, key) as api:
        click.echo(f"{batch_id} {api.cancel(batch_id).status}")

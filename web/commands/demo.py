"""`tokenmill demo`."""

from pathlib import Path

import click

from tasks.settings import settings


@click.command(short_help="Watch two jobs being run and billed.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo keeps its database.  [default: demo in TOKENMILL_DATA_DIR]",
)
def demo(data_dir: Path | None) -> None:
    """Watch two jobs being run and billed.

    Starts the whole platform on a free port, creates a project and a key, submits a chat job and a
    completion job over HTTP, and shows the answers, the tokens they took, what they cost, and the
    ledger. Then stops everything.

    The first start prepares the model, which takes about half a minute; later ones take seconds.
    """
    from web.demo.run import run

    run(data_dir or settings().data_dir / "demo")

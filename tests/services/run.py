"""`make services`: a platform of processes on this machine, until Ctrl-C or as long as a command runs."""

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.live import Live

from tests.services.errors import ServiceError
from tests.services.process_set import read_process_set
from tests.services.running import VARIABLE, RunningPlatform
from tests.services.screen import Screen
from tests.services.stack import LONGEST_FOLDER, Stack

DESCRIPTION_FILE = "platform.json"
USUAL_PORT = 8000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # A shell's background jobs ignore Ctrl-C, and supervisors end what they started by SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    # Said by a library of Postgres's wheel, for want of a login session; it finds another folder.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    console = Console(stderr=bool(options.command), highlight=False, soft_wrap=True)
    try:
        with _folder(options) as folder:
            return _run(folder, options, console)
    except ServiceError as error:
        console.print(str(error), style="red", markup=False)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.services.run",
        description="Run docker/processes.toml with Postgres, RabbitMQ and Redis of its own.",
    )
    parser.add_argument("--port", type=int, help="of all web processes together; 0 picks a free one")
    parser.add_argument("--data-dir", type=Path, help="kept from run to run; by default a command's is not")
    parser.add_argument(
        "command", nargs="*", help=f"run once everything is ready, after --; {VARIABLE} names its description"
    )
    return parser


@contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where everything lies, for this run alone. Raises ServiceError."""
    default = Path(os.environ.get("TOKENMILL_DATA_DIR", ".tokenmill"))
    given: Path = options.data_dir or default / ("services-of-a-command" if options.command else "services")
    folder = given.expanduser().resolve()
    if len(str(folder)) > LONGEST_FOLDER:
        raise ServiceError(f"{folder} is too long for a socket in it: choose another with --data-dir.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServiceError(f"A platform runs in {folder} already: choose another --data-dir.") from None
        if options.command and options.data_dir is None:
            # Emptied now rather than afterwards, when its logs may be wanted.
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        yield folder


def _run(folder: Path, options: argparse.Namespace, console: Console) -> int:
    def tell(news: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {news}", markup=False)

    port = options.port if options.port is not None else 0 if options.command else USUAL_PORT
    stack = Stack(folder, read_process_set(), port=port, tell=tell)
    description = folder / DESCRIPTION_FILE
    with _live(stack, console, alone=not options.command), stack:
        try:
            running = stack.start()
            running.write(description)
            _greet(console, running)
            stack.wait_until_ready()
            tell("everything is ready")
            return _command(options.command, description) if options.command else _until_interrupted()
        except KeyboardInterrupt:
            tell("stopping, the newest first; Ctrl-C again kills")
            return 130 if options.command else 0
        finally:
            description.unlink(missing_ok=True)


def _live(stack: Stack, console: Console, alone: bool) -> AbstractContextManager[object]:
    """A table below the news, on a terminal that nobody else writes to."""
    if not (alone and console.is_terminal):
        return nullcontext()
    return Live(Screen(lambda: stack.members), console=console, refresh_per_second=2)


def _greet(console: Console, running: RunningPlatform) -> None:
    lines = (
        f"Tokenmill on {running.url}   (documentation: {running.url}/docs)",
        f"API key: {running.api_key}",
        f"Logs: {running.logs}",
    )
    console.print("\n".join(("", *lines, "")), markup=False)


def _command(command: Sequence[str], description: Path) -> int:
    print("$", shlex.join(command), file=sys.stderr, flush=True)
    return subprocess.run(command, env=os.environ | {VARIABLE: str(description)}, check=False).returncode


def _until_interrupted() -> int:
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())

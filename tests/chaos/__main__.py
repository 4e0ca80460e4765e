"""Break it: `python -m tests.chaos --faults 200 --seed 7`."""

import argparse
import os
import random
import shutil
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from tests.chaos import progress
from tests.chaos.report import Report
from tests.chaos.run import Run
from tests.services.platform import forking_platforms


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Break the platform, and hold its promises against what is left."
    )
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, help="the plan of an earlier run; drawn and shown when left out")
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder with logs and database in any case"
    )
    parser.add_argument(
        "--fork",
        action="store_true",
        help="start processes from ones that have imported what they need, which is faster",
    )
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    forget_own_settings()
    console = Console(highlight=False)
    console.print(f"{options.faults} faults, seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix="tokenmill-chaos-"))
    shown = progress.Bar if console.is_terminal else progress.Lines
    forking = forking_platforms(folder) if options.fork else nullcontext()
    with forking, shown(console, options.faults) as told:
        found = Run(folder, seed=seed, faults=options.faults, progress=told).findings()
    Report(console).show(found)
    if options.keep:
        console.print(f"Kept: {folder}")
    elif not found.breaches:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if found.breaches else 0


def forget_own_settings() -> None:
    """Nothing of the caller's reaches the platform that is broken."""
    for name in list(os.environ):
        if name.startswith("TOKENMILL_") or name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"):
            del os.environ[name]


if __name__ == "__main__":
    sys.exit(main())

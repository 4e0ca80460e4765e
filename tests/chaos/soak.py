"""An hour of mixed load with nothing broken: does anything grow?

python -m tests.chaos.soak --minutes 60
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos import treasury
from tests.chaos.__main__ import forget_own_settings
from tests.chaos.load import Load
from tests.chaos.platform import platform_on
from tests.chaos.processes import Processes
from tests.chaos.quiet import wait_for_quiet
from tests.chaos.record import Record
from tests.chaos.samples import Samples
from tests.chaos.services import Services
from tests.chaos.trend import Point, Trend, trend
from tests.integration.processes.same_settings import same_settings
from tests.services.platform import Platform

_EVERY_SECONDS = 10.0
_QUIET_SECONDS = 120.0
# What processes fill in their first minutes, caches and pools, looks like growth without end.
_SHORTEST_MINUTES = 20
# What may come on top in an hour, beside a tenth of what there is. Rows and sizes grow with what is kept.
ALLOWED_PER_HOUR = {
    "memory MiB": 24.0,
    "open files": 8.0,
    "threads": 16.0,
    "connections": 8.0,
    "sessions": 8.0,
    "dead rows": 5000.0,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Mixed load for a while: does anything grow?")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where every measurement goes")
    options = parser.parse_args()
    forget_own_settings()
    console = Console(highlight=False)
    console.print(f"{options.minutes:g} minutes of mixed load")
    record = Record()
    with tempfile.TemporaryDirectory(prefix="tokenmill-soak-", ignore_cleanup_errors=True) as folder:
        series, trouble = soak(Path(folder), options.minutes * 60, options.seed, record)
    if options.json is not None:
        options.json.write_text(json.dumps({"series": series, "answers": record.answers}))
    trends = {name: trend(points) for name, points in sorted(series.items())}
    show(console, trends)
    trouble += record.wrongs
    judged = options.minutes >= _SHORTEST_MINUTES
    if judged:
        trouble += [f"{name} grows" for name, one in trends.items() if grows(name, one)]
    console.print(f"{len(record.jobs)} jobs, {len(record.batches)} batches; answers: {dict(record.answers)}")
    for what in trouble:
        console.print(escape(what), soft_wrap=True)
    if trouble:
        console.print("something is wrong")
    else:
        console.print(
            "nothing grows" if judged else f"too short to say what grows: {_SHORTEST_MINUTES} minutes"
        )
    return 1 if trouble else 0


def soak(
    folder: Path, seconds: float, seed: int, record: Record
) -> tuple[Mapping[str, Sequence[Point]], list[str]]:
    """Every series, and what did not end or add up."""
    with ExitStack() as stack:
        services = stack.enter_context(Services(folder))
        platform = stack.enter_context(platform_on(services, folder))
        own = {"DATABASE_URL": services.own_database_url, "BROKER_URL": services.own_broker_url}
        stack.enter_context(same_settings(platform.environment | own))
        tenants = treasury.make_tenants()
        processes = stack.enter_context(Processes(platform))
        samples = Samples(processes, services.own_database_url, _EVERY_SECONDS)
        payer = treasury.Treasury(tenants)
        crowd = Load(tenants, processes.base_urls, record, seed)
        for part in (samples, payer, crowd):
            part.start()
        try:
            time.sleep(seconds)
        finally:
            samples.stop()
            crowd.stop()
            payer.stop()
        quiet = wait_for_quiet(services.own_database_url, _QUIET_SECONDS)
        trouble = [f"{its_id}: {what}" for its_id, what in quiet.stuck] + _books(platform)
        if processes.started_again:
            trouble.append(f"{processes.started_again} processes ended by themselves")
    return samples.series, trouble


def _books(platform: Platform) -> list[str]:
    try:
        platform.run("billing", "verify")
    except RuntimeError as error:
        return [str(error)]
    return []


def grows(name: str, found: Trend) -> bool:
    """Whether a series that is judged at all grows more than it may."""
    allowed = next((most for what, most in ALLOWED_PER_HOUR.items() if name.endswith(what)), None)
    return allowed is not None and found.grows(allowed)


def show(console: Console, trends: Mapping[str, Trend]) -> None:
    table = Table("", "median", "last", "an hour", "", box=None)
    for name, one in trends.items():
        if one.median or one.last:
            verdict = "grows" if grows(name, one) else ""
            table.add_row(name, f"{one.median:.1f}", f"{one.last:.1f}", f"{one.per_hour:+.1f}", verdict)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())

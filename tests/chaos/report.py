"""What a run tells: a summary, and of each breach everything that is known around it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.breach import PROMISES, Breach
from tests.chaos.record import Record, Story

_MARGIN_SECONDS = 15.0
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a run. ``looks`` at the books, and ``verifications`` of them, were made meanwhile."""

    seed: int
    faults: Counter[str]
    record: Record
    breaches: Sequence[Breach]
    jobs: int
    quiet_seconds: float
    seconds: float
    started_again: int
    looks: int
    verifications: int
    log_errors: Counter[str]
    folder: Path


class Report:
    """Prints, on a terminal and anywhere else."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, found: Findings) -> None:
        self._say("")
        self._summary(found)
        for breach in found.breaches[:_SHOWN]:
            self._breach(breach, found.record)
        if len(found.breaches) > _SHOWN:
            self._say(f"… and {len(found.breaches) - _SHOWN} more.")
        if found.breaches:
            self._say(
                f"Every log and the database are in {found.folder}; seed {found.seed} is the same plan again."
            )

    def _summary(self, found: Findings) -> None:
        record = found.record
        table = Table(show_header=False, box=None, pad_edge=False)
        statuses = Counter(story.sights[-1].status for story in record.jobs.values() if story.sights)
        rows = (
            ("faults", f"{found.faults.total()}: {_counts(found.faults)}"),
            ("processes started again", str(found.started_again)),
            ("jobs", f"{found.jobs} in all, {len(record.jobs)} acknowledged: {_counts(statuses)}"),
            ("streams read to their end", str(sum(len(story.streamed) for story in record.jobs.values()))),
            ("batches, files", f"{len(record.batches)}, {len(record.files)}"),
            ("answers", _counts(record.answers)),
            ("looks at the books", f"{found.looks}, and {found.verifications} verifications on the way"),
            ("quiet again after", f"{found.quiet_seconds:.1f} s"),
            ("took", f"{found.seconds:.0f} s"),
            ("errors in the logs", _counts(found.log_errors) or "none"),
            ("promises", _promises(found.breaches)),
        )
        for name, value in rows:
            table.add_row(name, escape(value))
        self._console.print(table)

    def _breach(self, breach: Breach, record: Record) -> None:
        self._say(f"\n{breach.promise} ({PROMISES[breach.promise]}): {breach.what}")
        if breach.story is not None:
            self._story(breach.story, record)

    def _story(self, story: Story, record: Record) -> None:
        """What its client saw, and what was broken around that time."""
        sights = [(sight.at, f"{sight.by}: {sight.status}") for sight in story.sights]
        if not sights:
            return
        start, end = sights[0][0] - _MARGIN_SECONDS, sights[-1][0]
        around = [
            (one.at, f"    {one.what}" + (f" (until {one.until:.1f} s)" if one.until else ""))
            for one in record.around(start, end)
        ]
        self._say(f"  {story.id} of {story.tenant.name}")
        for at, what in sorted(sights + around)[:80]:
            self._say(f"  {at:8.1f} s  {what}")

    def _say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True, highlight=False)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{times} {what}" for what, times in counted.most_common(16))


def _promises(breaches: Sequence[Breach]) -> str:
    if not breaches:
        return "kept, all of them"
    return f"NOT KEPT: {_counts(Counter(breach.promise for breach in breaches))}"

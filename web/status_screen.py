"""The platform's status on a terminal of 80 columns or more, or as plain text where it is piped."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.pricing import usd_text
from tasks.status.backlogs import MOST_COUNTED, BacklogStatus
from tasks.status.batches import BatchStatusLine
from tasks.status.platform import PlatformStatus
from tasks.status.queues import QueueStatus
from tasks.status.traffic import TrafficStatus
from tasks.status.workers import WorkerStatus

_NOTHING = "-"
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))


def screen(status: PlatformStatus, notice: str | None = None) -> Group:
    """Every part in its place, also where there is nothing in it. A ``notice`` stands above."""
    broker = "broker ok" if status.broker_reachable else "BROKER CAN'T BE REACHED"
    parts: list[RenderableType] = [
        Text(
            f"Tokenmill  {status.at:%Y-%m-%d %H:%M:%S} UTC  database ok  {broker}",
            style="" if status.broker_reachable else "red",
        ),
        *([Text(notice, style="bold red")] if notice else []),
        *_section("Workers", _workers(status.workers)),
        *_section("Processes", _processes(status)),
        *_section("Queues", _queues(status.queues)),
        *_section("Traffic", _traffic(status.traffic), _latency(status.traffic)),
        *_section("Errors in 15 minutes", Text(_errors(status.traffic))),
        *_section("Batches", _batches(status)),
        *_section("Spend", *map(Text, _spend(status))),
        *_section("Waiting to leave", Text(_backlogs(status))),
    ]
    return Group(*parts)


def _section(title: str, *content: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield from content


def _workers(workers: Sequence[WorkerStatus]) -> RenderableType:
    rows = [
        (
            one.model,
            f"{one.device or '?'} {one.quantization}",
            f"{one.in_flight}/{one.slots}",
            f"{one.process_id}@{one.hostname}",
            duration(one.up_seconds),
            f"{duration(one.silent_seconds)} ago" if one.alive else "DEAD",
        )
        for one in workers
    ]
    return _table(("model", "on", "jobs/slots", "process", "up", "seen"), rows, "none is running")


def _processes(status: PlatformStatus) -> RenderableType:
    rows = [
        (
            one.kind,
            f"{one.process_id}@{one.hostname}",
            str(one.connections),
            duration(one.up_seconds),
            f"{duration(one.quiet_seconds)} ago",
        )
        for one in status.processes
    ]
    return _table(("kind", "process", "connections", "since", "last query"), rows, "none is connected")


def _queues(queues: Sequence[QueueStatus]) -> RenderableType:
    rows = [
        (one.model, one.tier, _count(one.queued), duration(one.oldest_seconds), f"{one.running:,}")
        for one in queues
    ]
    return _table(("model", "tier", "queued", "oldest", "running"), rows, "nothing waits or runs")


def _traffic(traffic: TrafficStatus) -> RenderableType:
    rows = [
        (
            f"{one.minutes} min",
            f"{one.jobs_per_minute:,.1f}",
            f"{one.input_tokens_per_second:,.1f}",
            f"{one.output_tokens_per_second:,.1f}",
        )
        for one in traffic.windows
    ]
    return _table(("over", "jobs/min", "input tokens/s", "output tokens/s"), rows, "")


def _latency(traffic: TrafficStatus) -> Text:
    latency = traffic.latency
    if not latency.jobs:
        return Text("no job completed in 5 minutes")
    queue = f"{duration(latency.queue_seconds_p50)} p50, {duration(latency.queue_seconds_p95)} p95"
    whole = f"{duration(latency.end_to_end_seconds_p50)} p50, {duration(latency.end_to_end_seconds_p95)} p95"
    return Text(f"queued {queue}; end to end {whole} ({latency.jobs:,} jobs in 5 minutes)")


def _errors(traffic: TrafficStatus) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in traffic.errors.items()) or "none"


def _batches(status: PlatformStatus) -> RenderableType:
    table = _table(
        ("batch", "done", "failed", "per min", "left", "expires"),
        list(map(_batch, status.batches.first)),
        "none is open",
    )
    hidden = status.batches.open - len(status.batches.first)
    return Group(table, Text(f"and {hidden:,} more")) if hidden else table


def _batch(batch: BatchStatusLine) -> tuple[str, ...]:
    return (
        batch.id,
        f"{batch.done}/{batch.total}" if batch.status == "in_progress" else batch.status,
        str(batch.failed),
        f"{batch.lines_per_minute:.0f}",
        duration(batch.seconds_left),
        duration(max(batch.window_seconds, 0.0)),
    )


def _spend(status: PlatformStatus) -> Iterator[str]:
    spend = status.spend
    yield f"today {_usd(spend.today_usd)}, this month {_usd(spend.month_usd)}, held {_usd(spend.held_usd)}"
    for limit in spend.near_limits:
        share = f"{limit.used_usd / limit.limit_usd:.0%}"
        yield f"{share} of {_usd(limit.limit_usd)} gone: {limit.subject}"


def _backlogs(status: PlatformStatus) -> str:
    waiting = (("to the broker", status.outbox), ("webhooks", status.webhooks))
    return ", ".join(f"{name} {_backlog(backlog)}" for name, backlog in waiting)


def _backlog(backlog: BacklogStatus) -> str:
    if not backlog.waiting:
        return "none"
    return f"{_count(backlog.waiting)} (oldest {duration(backlog.oldest_seconds)})"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], when_empty: str) -> RenderableType:
    if not rows:
        return Text(when_empty)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row), style="red" if "DEAD" in row else "")
    return table


def _count(count: int) -> str:
    return f"{count:,}+" if count >= MOST_COUNTED else f"{count:,}"


def _usd(amount: Decimal) -> str:
    return f"${usd_text(round(amount, 6))}"


def duration(seconds: float | None) -> str:
    """``0.4s``, ``12s``, ``3m05s``, ``2h07m``, ``5d03h``: as long as a column is wide."""
    if seconds is None:
        return _NOTHING
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    for index, (length, unit) in enumerate(_UNITS):
        if seconds >= length:
            smaller, name = _UNITS[index + 1] if index + 1 < len(_UNITS) else (1, "s")
            whole, rest = divmod(int(seconds), length)
            return f"{whole}{unit}{rest // smaller:02}{name}"
    return f"{seconds:.0f}s"

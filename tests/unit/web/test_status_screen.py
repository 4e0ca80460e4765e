"""The platform's status as people see it, and through outages."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from tasks import migrate
from tasks.errors import DatabaseUnavailable
from tasks.status.backlogs import BacklogStatus
from tasks.status.batches import BatchesStatus, BatchStatusLine
from tasks.status.limits import NearLimit
from tasks.status.platform import PlatformStatus
from tasks.status.processes import ProcessStatus
from tasks.status.queues import MOST_COUNTED, QueueStatus
from tasks.status.spend import SpendStatus
from tasks.status.traffic import LatencyStatus, TrafficStatus, WindowStatus
from tasks.status.workers import WorkerStatus
from web import status_watch
from web.status_screen import duration, screen
from web.status_watch import Watcher, print_json

NONE = BacklogStatus(waiting=0, oldest_seconds=None)
WINDOWS = [
    WindowStatus(minutes=n, jobs_per_minute=0, input_tokens_per_second=0, output_tokens_per_second=0)
    for n in (1, 5, 15)
]
NO_LATENCY = LatencyStatus(
    jobs=0,
    queue_seconds_p50=None,
    queue_seconds_p95=None,
    end_to_end_seconds_p50=None,
    end_to_end_seconds_p95=None,
)
EMPTY = PlatformStatus(
    at=datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC),
    broker_reachable=True,
    workers=[],
    processes=[],
    queues=[],
    traffic=TrafficStatus(windows=WINDOWS, latency=NO_LATENCY, errors={}, lines_per_minute={}),
    batches=BatchesStatus(open=0, first=[]),
    spend=SpendStatus(today_usd=Decimal(0), month_usd=Decimal(0), held_usd=Decimal(0), near_limits=[]),
    outbox=NONE,
    webhooks=NONE,
)
BUSY = PlatformStatus(
    at=EMPTY.at,
    broker_reachable=False,
    workers=[
        WorkerStatus(
            id=f"worker_{alive}",
            hostname="node-17.cluster",
            process_id=4711,
            model="smollm2-135m-instruct",
            device="cuda:0",
            quantization="int8",
            slots=64,
            in_flight=63,
            alive=alive,
            up_seconds=7500.0,
            silent_seconds=0.4,
        )
        for alive in (True, False)
    ],
    processes=[
        ProcessStatus(
            kind="scheduler",
            hostname="node-1",
            process_id=12,
            connections=3,
            up_seconds=95.0,
            quiet_seconds=0.1,
        )
    ],
    queues=[QueueStatus("smollm2-135m-instruct", "default", MOST_COUNTED, 187.0, 63)],
    traffic=TrafficStatus(
        windows=WINDOWS,
        latency=LatencyStatus(
            jobs=12_345,
            queue_seconds_p50=0.2,
            queue_seconds_p95=13.0,
            end_to_end_seconds_p50=1.5,
            end_to_end_seconds_p95=200.0,
        ),
        errors={"worker_lost": 2, "job_expired": 1},
        lines_per_minute={},
    ),
    batches=BatchesStatus(
        open=12,
        first=[
            BatchStatusLine(
                id="batch_01a1ff6cfc6b77d3b5bf9cafdc3b563b",
                status="in_progress",
                model="smollm2-135m-instruct",
                total=50_000,
                done=1234,
                failed=3,
                lines_per_minute=900.0,
                seconds_left=3250.0,
                window_seconds=86_000.0,
            )
        ],
    ),
    spend=SpendStatus(
        today_usd=Decimal("0.00000244"),
        month_usd=Decimal("12.5"),
        held_usd=Decimal("0.25"),
        near_limits=[NearLimit(subject="project:acme", limit_usd=Decimal(10), used_usd=Decimal(9))],
    ),
    outbox=BacklogStatus(waiting=7, oldest_seconds=12.0),
    webhooks=NONE,
)


def printed(status: PlatformStatus, notice: str | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(screen(status, notice))
    return out.getvalue()


def test_empty_platform_says_of_each_part_that_there_is_nothing() -> None:
    text = printed(EMPTY)
    for said in ("none is running", "none is connected", "nothing waits or runs", "none is open"):
        assert said in text
    assert "broker ok" in text


def test_busy_platform_fits_eighty_columns_and_cuts_off_no_batch() -> None:
    text = printed(BUSY)
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "batch_01a1ff6cfc6b77d3b5bf9cafdc3b563b",
        "1234/50000",
        "54m10s",
        "and 11 more",
        "100,000+",
        "DEAD",
        "63/64",
        "2 worker_lost, 1 job_expired",
        "today $0.000002, this month $12.5, held $0.25",
        "90% of $10 gone: project:acme",
        "to the broker 7 (oldest 12s), webhooks none",
        "BROKER CAN'T BE REACHED",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0s"),
        (9.96, "10.0s"),
        (59.0, "59s"),
        (185.0, "3m05s"),
        (7620.0, "2h07m"),
        (442_800.0, "5d03h"),
    ],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_json_is_a_line_with_exact_amounts(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(BUSY)
    (line,) = capsys.readouterr().out.splitlines()
    read = json.loads(line)
    assert read["spend"]["today_usd"] == "0.00000244"
    assert read["at"] == "2026-11-22T01:02:03+00:00"
    assert read["queues"][0]["queued"] == MOST_COUNTED


def test_watching_goes_on_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[PlatformStatus | None] = [None, EMPTY, None, BUSY]

    def look() -> PlatformStatus:
        answer = answers.pop(0)
        if answer is None:
            raise DatabaseUnavailable
        return answer

    monkeypatch.setattr(status_watch, "look", look)
    monkeypatch.setattr(migrate, "check", lambda url: None)
    watcher = Watcher()
    assert watcher.look() is None
    assert "can't be reached" in (watcher.outage or "")
    assert (watcher.look(), watcher.outage) == (EMPTY, None)
    assert watcher.look() is EMPTY
    assert "Below is what it said at 01:02:03" in (watcher.outage or "")
    assert "can't be reached" in printed(EMPTY, watcher.outage)
    assert (watcher.look(), watcher.outage) == (BUSY, None)

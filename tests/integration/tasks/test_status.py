"""What `tokenmill status` reads, on a real Postgres."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tasks import budgets, corrections, db
from tasks.admission import Submission
from tasks.budget_subject import Subject, SubjectKind
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.settings import settings
from tasks.status import platform
from tasks.status.platform import PlatformStatus
from tasks.status.queues import QueueStatus
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.batch_work import begin_batch, lines
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, change, finish
from tests.integration.tasks.conftest import MODEL

Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def process_name(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_kind", "command")


def look() -> PlatformStatus:
    return platform.look()


def queue(status: PlatformStatus, tier: str) -> QueueStatus:
    return next(one for one in status.queues if one.tier == tier)


def test_empty_platform_has_every_part_with_nothing_in_it() -> None:
    status = look()
    assert status.workers == status.processes == status.queues == status.batches.first == []
    assert [one.jobs_per_minute for one in status.traffic.windows] == [0, 0, 0]
    assert status.traffic.latency.queue_seconds_p95 is None
    assert status.traffic.errors == {}
    assert (status.spend.today_usd, status.spend.month_usd, status.spend.held_usd) == (0, 0, 0)
    assert status.outbox.waiting == status.webhooks.waiting == 0
    assert status.broker_reachable


def test_queues_count_what_waits_and_runs_by_tier(submit_job: Submit) -> None:
    for _ in range(4):
        submit_job()
    change(
        "UPDATE jobs SET created_at = now() - interval '90 seconds' WHERE id = (SELECT min(id) FROM jobs)",
        "UPDATE jobs SET status = 'in_progress', owner = 'w', service_tier = 'priority', rank = 0"
        " WHERE id = (SELECT max(id) FROM jobs)",
    )
    status = look()
    assert [one.tier for one in status.queues] == ["priority", "default"]
    assert (queue(status, "priority").queued, queue(status, "priority").running) == (0, 1)
    default = queue(status, "default")
    assert (default.model, default.queued, default.running) == (MODEL, 3, 0)
    assert 90 <= (default.oldest_seconds or 0) < 120


def test_count_of_a_long_queue_stops_where_it_would_take_long(
    submit_job: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.status.queues.MOST_COUNTED", 2)
    for _ in range(3):
        submit_job()
    assert queue(look(), "default").queued == 2


@pytest.mark.usefixtures("batch_storage")
def test_batch_shows_its_lines_its_pace_and_the_time_left(principal: Principal) -> None:
    batch = begin_batch(principal, lines(4))
    change("UPDATE batches SET in_progress_at = now() - interval '30 seconds'")
    status = look()
    assert (queue(status, "batch").queued, status.batches.open) == (4, 1)
    (shown,) = status.batches.first
    assert (shown.id, shown.total, shown.done, shown.seconds_left) == (batch.id, 4, 0, None)
    # Two of its four in half a minute: as long again for the others.
    change(
        "UPDATE jobs SET status = 'completed', ended_at = now() WHERE line_number <= 2",
        "UPDATE batches SET unfinished = 2, last_position = 2, completed = 2",
    )
    (shown,) = look().batches.first
    assert shown.done == 2
    assert shown.lines_per_minute == pytest.approx(4, rel=0.1)
    assert shown.seconds_left == pytest.approx(30, rel=0.1)


def test_traffic_is_of_the_last_minutes_and_errors_are_counted_by_code(submit_job: Submit) -> None:
    for status in (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED):
        finish(submit_job().job.id, status)
    change(
        "UPDATE jobs SET error_code = 'worker_lost' WHERE status = 'failed'",
        "UPDATE jobs SET created_at = now() - interval '10 minutes 20 seconds',"
        " started_at = now() - interval '10 minutes 10 seconds', ended_at = now() - interval '10 minutes'"
        " WHERE id = (SELECT min(id) FROM jobs)",
    )
    traffic = look().traffic
    assert [one.minutes for one in traffic.windows] == [1, 5, 15]
    assert [round(one.jobs_per_minute * one.minutes) for one in traffic.windows] == [2, 2, 3]
    assert [round(one.output_tokens_per_second * one.minutes * 60) for one in traffic.windows] == [3, 3, 6]
    assert traffic.errors == {"worker_lost": 1}
    assert traffic.latency.jobs == 1
    assert traffic.latency.end_to_end_seconds_p50 is not None


def test_rate_of_more_jobs_than_are_read_is_that_of_the_time_which_was_read(
    submit_job: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.status.traffic._MOST_JOBS", 2)
    for _ in range(3):
        finish(submit_job().job.id)
    change("UPDATE jobs SET ended_at = now() - interval '10 seconds'")
    assert look().traffic.windows[2].jobs_per_minute == pytest.approx(12, rel=0.2)


def test_spend_has_what_was_charged_what_is_held_and_limits_that_are_near(
    submit_job: Submit, principal: Principal
) -> None:
    finish(submit_job().job.id)
    submit_job()
    project = Subject(SubjectKind.PROJECT, principal.project_id)
    budgets.set_budget(project, hard_usd=HOLD + CHARGE, soft_usd=None)
    spend = look().spend
    assert (spend.today_usd, spend.month_usd, spend.held_usd) == (CHARGE, CHARGE, HOLD)
    (near,) = spend.near_limits
    assert (near.subject, near.limit_usd, near.used_usd) == ("project:tests", HOLD + CHARGE, HOLD + CHARGE)
    budgets.set_budget(project, hard_usd=Decimal(1), soft_usd=None)
    assert look().spend.near_limits == []


def test_prepaid_credit_near_its_end_is_a_limit_that_is_near(
    submit_job: Submit, principal: Principal
) -> None:
    budgets.set_prepaid(principal.project_id, True)
    corrections.grant(principal.project_id, HOLD * 4, key="first", reason="test")
    for _ in range(3):
        submit_job()
    assert look().spend.near_limits == []
    submit_job()
    (near,) = look().spend.near_limits
    assert (near.subject, near.limit_usd, near.used_usd) == ("project:tests", HOLD * 4, HOLD * 4)


def test_workers_are_alive_dead_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    # For so long a database that has just started takes nobody for dead.
    monkeypatch.setenv("TOKENMILL_LEASE_SECONDS", "0.1")
    settings.cache_clear()
    dead, alive, gone = (
        WorkerIdentity(model=MODEL, quantization="int8", slots=slots, device="cuda:0") for slots in (1, 2, 3)
    )
    for one in (alive, dead, gone):
        one.register()
    gone.withdraw()
    change(
        "UPDATE workers SET lease_expires_at = now() + interval '1 hour' WHERE slots = 2",
        "UPDATE workers SET lease_expires_at = now() - interval '1 s' WHERE slots = 1",
    )
    shown = {one.id: one for one in look().workers}
    assert set(shown) == {alive.id, dead.id}
    assert shown[alive.id].alive
    assert (shown[alive.id].device, shown[alive.id].slots, shown[alive.id].in_flight) == ("cuda:0", 2, 0)
    for one in (alive, dead):
        one.withdraw()


def test_processes_are_those_that_are_connected_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look().processes == []
    db.engine().dispose()
    db.engine.cache_clear()
    db.name_process("scheduler")
    (shown,) = look().processes
    assert (shown.kind, shown.connections) == ("scheduler", 1)


def test_jobs_that_no_broker_has_are_a_backlog(submit_job: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.queue.publish_soon", lambda job_id, model: None)
    submit_job()
    assert look().outbox.waiting == 0, "this process has only just had it"
    change("UPDATE jobs SET created_at = now() - interval '40 seconds'")
    outbox = look().outbox
    assert outbox.waiting == 1
    assert 40 <= (outbox.oldest_seconds or 0) < 60


def test_deliveries_that_are_due_are_a_backlog_and_later_tries_are_not(principal: Principal) -> None:
    change(
        "INSERT INTO webhook_endpoints (id, project_id, name, url, event_types, secret, secret_hint)"
        " SELECT 'e', id, 'n', 'https://x', '{}', '', '' FROM projects",
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, body, next_attempt_at)"
        " VALUES ('d1', 'e', 'v', 't', '', now() - interval '30 seconds'),"
        " ('d2', 'e', 'v', 't', '', now() + interval '1 hour')",
    )
    webhooks = look().webhooks
    assert webhooks.waiting == 1
    assert 30 <= (webhooks.oldest_seconds or 0) < 60

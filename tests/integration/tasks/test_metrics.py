"""Jobs, books and queues in numbers, on a real Postgres."""

import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from tasks import budgets, cancellation, claiming, db, jobs, lost_jobs
from tasks.admission import Submission
from tasks.billing import watch
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import after_commit, transaction
from tasks.errors import InsufficientQuota
from tasks.jobs import Ending
from tasks.keys import Principal
from tasks.metrics import platform
from tasks.metrics.platform import PlatformCollector
from tasks.models import JobStatus
from tasks.plan import ServiceTier
from tasks.scheduler import run_entry
from tasks.settings import settings
from tests.integration.tasks.batch_work import batch_worker, begin_batch, lines
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, change, finish, row
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.publications import Publications
from tests.integration.tasks.test_claiming import admit
from tests.unit.tasks.metrics.samples import Growth, Page, growth, page

Submit = Callable[..., Submission]

LABELS = {"model": MODEL, "tier": "default"}
LINES = {"model": MODEL, "tier": "batch"}


class _ChangedItsMind(Exception):
    pass


def read(collector: PlatformCollector | None = None) -> Page:
    return Page.parse(generate_latest(collector or PlatformCollector()).decode())


def ended(grown: Growth, outcome: str) -> float:
    return grown.of("jobs_ended_total", outcome=outcome, **LABELS)


def test_job_counts_from_its_admission_to_its_bill(submit_job: Submit) -> None:
    with growth() as grown:
        finish(submit_job().job.id)
    assert grown.of("jobs_admitted_total", **LABELS) == 1
    assert grown.of("job_attempts_total", **LABELS) == 1
    assert grown.of("job_queue_seconds_count", **LABELS) == 1
    assert ended(grown, "completed") == 1
    assert grown.of("job_seconds_count", **LABELS) == 1
    assert grown.of("tokens_total", kind="input", **LABELS) == 2
    assert grown.of("tokens_total", kind="output", **LABELS) == 3
    assert grown.of("cost_usd_total", **LABELS) == pytest.approx(float(CHARGE))


def test_replayed_and_refused_submissions_are_no_admissions(submit_job: Submit, principal: Principal) -> None:
    submit_job(idempotency_key="one")
    subject = Subject(SubjectKind.PROJECT, principal.project_id)
    budgets.set_budget(subject, hard_usd=HOLD, soft_usd=None)
    with growth() as grown:
        submit_job(idempotency_key="one")
        with pytest.raises(InsufficientQuota):
            submit_job()
    assert grown.of("jobs_admitted_total", **LABELS) == 0


def test_end_that_is_rolled_back_or_comes_too_late_does_not_count(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    ending = Ending(job_id=job_id, attempt=0, status=JobStatus.FAILED)
    with growth() as grown:
        with suppress(_ChangedItsMind), transaction() as connection:
            jobs.end(connection, [ending])
            raise _ChangedItsMind
        assert ended(grown, "failed") == 0
        for _ in range(2):
            with transaction() as connection:
                jobs.end(connection, [ending])
    assert ended(grown, "failed") == 1


def test_cancelled_and_expired_jobs_count_as_that(submit_job: Submit, principal: Principal) -> None:
    with growth() as grown:
        cancellation.cancel_job(principal.project_id, submit_job().job.id)
        submit_job()
        change("UPDATE jobs SET expires_at = now() WHERE status = 'queued'")
        assert lost_jobs.expire() == 1
    assert (ended(grown, "cancelled"), ended(grown, "expired")) == (1, 1)
    assert grown.of("job_seconds_count", **LABELS) == 0


def test_counting_that_fails_leaves_the_transaction_committed(principal: Principal) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("the disk is full")

    with transaction() as connection:
        connection.execute(text("UPDATE projects SET name = 'renamed'"))
        after_commit(connection, fail)
        after_commit(connection, lambda: done.append("next"))
    assert done == ["next"]
    with transaction() as connection:
        assert connection.execute(text("SELECT name FROM projects")).scalars().all() == ["renamed"]


def test_connections_of_the_pool_are_counted(principal: Principal) -> None:
    with transaction() as connection:
        connection.execute(text("SELECT 1"))
        assert page().of("database_pool_connections", state="in_use") >= 1
    # Others may be at work: uses of keys are noted in the background.
    until = time.monotonic() + 5
    while (found := page()).of("database_pool_connections", state="in_use"):
        assert time.monotonic() < until
    assert found.of("database_pool_connections", state="idle") >= 1


@pytest.mark.usefixtures("batch_storage")
def test_lines_of_a_batch_wait_run_and_end(principal: Principal, publications: Publications) -> None:
    with growth() as grown:
        batch = begin_batch(principal, lines(3))
        waiting = read()
        with batch_worker(publications) as worker:
            worker.run_to_end(batch)
            assert read().of("live_workers", model=MODEL) == 1
    assert grown.of("jobs_admitted_total", **LINES) == 3
    assert waiting.of("queue_jobs", **LINES) == 3
    assert waiting.of("queue_oldest_seconds", **LINES) > 0
    assert waiting.of("batches", status="in_progress") == 1
    assert grown.of("jobs_ended_total", outcome="completed", **LINES) == 3
    after = read()
    assert (after.of("queue_jobs", **LINES), after.of("queue_oldest_seconds", **LINES)) == (0, 0)
    assert after.of("batches", status="in_progress") == 0


def test_queue_is_told_by_model_and_tier_with_the_age_of_its_oldest(
    submit_job: Submit, principal: Principal
) -> None:
    submit_job()
    change("UPDATE jobs SET created_at = created_at - interval '1 hour'")
    submit_job()
    admit(principal, ServiceTier.FLEX)
    running = admit(principal, ServiceTier.PRIORITY)
    with transaction() as connection:
        claiming.claim(connection, running, "worker_a")
    found = read()
    assert {
        tier: found.of("queue_jobs", model=MODEL, tier=tier) for tier in found.labels_of("queue_jobs", "tier")
    } == {
        "priority": 0,
        "default": 2,
        "flex": 1,
        "batch": 0,
    }
    assert 3600 <= found.of("queue_oldest_seconds", **LABELS) < 3660
    assert found.of("queue_oldest_seconds", model=MODEL, tier="flex") < 60
    assert found.of("running_jobs", model=MODEL, tier="priority") == 1
    assert found.of("live_workers", model=MODEL) == 0
    assert found.has("live_workers", model=MODEL)
    assert found.of("database_readable") == 1


def test_jobs_of_models_that_are_gone_are_one_series(submit_job: Submit) -> None:
    for _ in range(3):
        submit_job()
    change(
        "INSERT INTO models (name, source, quantization, context_length)"
        " SELECT 'gone-' || n, 'nowhere', 'fp32', 8 FROM generate_series(1, 2) AS n",
        "UPDATE jobs SET model = 'gone-' || (CASE WHEN id = (SELECT min(id) FROM jobs) THEN 1 ELSE 2 END)",
    )
    found = read()
    assert found.of("queue_jobs", model="other", tier="default") == 3
    assert found.labels_of("queue_jobs", "model") == {*settings().model_catalog().models, "other"}


def test_outbox_holds_what_no_broker_has_confirmed(submit_job: Submit) -> None:
    submit_job()
    until = time.monotonic() + 5
    while row("SELECT published_at FROM jobs").published_at is None:
        assert time.monotonic() < until
    change("UPDATE jobs SET published_at = NULL, created_at = now() - interval '90 s'")
    found = read()
    assert found.of("outbox_jobs") == 1
    assert 90 <= found.of("outbox_oldest_seconds") < 150
    change("UPDATE jobs SET published_at = now()")
    assert (read().of("outbox_jobs"), read().of("outbox_oldest_seconds")) == (0, 0)


def test_webhooks_that_are_due_are_counted_and_those_that_wait_are_not(principal: Principal) -> None:
    change(
        "INSERT INTO webhook_endpoints (id, project_id, name, url, event_types, secret, secret_hint)"
        " SELECT 'we_1', id, 'a', 'https://example.com', '{}', '', '' FROM projects",
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, body, next_attempt_at)"
        " SELECT 'wd_' || n, 'we_1', 'evt', 'response.completed', '{}', now() + n * interval '1 min'"
        " FROM generate_series(-2, 3) AS n",
    )
    found = read()
    assert found.of("webhook_due_deliveries") == 3
    assert 120 <= found.of("webhook_oldest_due_seconds") < 180


def test_money_held_and_spent_and_the_fullest_budget(submit_job: Submit, principal: Principal) -> None:
    key = Subject(SubjectKind.KEY, principal.api_key_id)
    budgets.set_budget(key, hard_usd=HOLD * 4, soft_usd=None)
    finish(submit_job().job.id)
    submit_job()
    found = read()
    assert found.of("held_usd") == pytest.approx(float(HOLD))
    assert found.of("spent_this_month_usd") == pytest.approx(float(CHARGE))
    ratio = float((HOLD + CHARGE) / (HOLD * 4))
    assert found.of("budget_used_ratio", subject="key") == pytest.approx(ratio)
    assert found.of("budget_used_ratio", subject="project") == 0
    change("UPDATE spend SET limit_usd = held_usd + spent_usd")
    assert read().of("budget_used_ratio", subject="project") == pytest.approx(1)
    change("UPDATE spend SET limit_usd = NULL, prepaid = true, granted_usd = (held_usd + spent_usd) * 2")
    assert read().of("budget_used_ratio", subject="project") == pytest.approx(0.5)


def test_database_is_asked_every_few_seconds_at_most(
    submit_job: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(platform, "monotonic", lambda: now[0])
    collector = PlatformCollector()
    assert read(collector).of("queue_jobs", **LABELS) == 0
    submit_job()
    assert read(collector).of("queue_jobs", **LABELS) == 0
    now[0] += 5
    assert read(collector).of("queue_jobs", **LABELS) == 1


def test_without_the_database_nothing_but_that_is_told(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.engine().dispose()
    db.engine.cache_clear()
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
        settings.cache_clear()
        found = read()
    db.engine.cache_clear()
    settings.cache_clear()
    assert found.families == {"tokenmill_database_readable"}
    assert found.of("database_readable") == 0


@pytest.fixture
def fresh_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_due_at", 0.0)


@pytest.mark.usefixtures("fresh_watch")
def test_books_that_are_right_are_said_to_be_and_looked_at_again_in_minutes(submit_job: Submit) -> None:
    finish(submit_job().job.id)
    submit_job()
    assert watch.check_if_due()
    found = page()
    assert found.of("ledger_conserved") == 1
    assert found.of("ledger_checked_timestamp_seconds") > 1.7e9
    assert not watch.check_if_due()


@pytest.mark.usefixtures("fresh_watch")
def test_books_that_are_wrong_are_noticed(submit_job: Submit) -> None:
    finish(submit_job().job.id)
    change("UPDATE spend SET spent_usd = spent_usd + 1")
    run_entry("tasks.maintenance.check_ledger")
    assert page().of("ledger_conserved") == 0


def test_runs_of_the_timetable_count_by_what_became_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with growth() as grown:
        run_entry("tasks.maintenance.expire_jobs")
        db.engine().dispose()
        db.engine.cache_clear()
        with monkeypatch.context() as away:
            away.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
            settings.cache_clear()
            run_entry("tasks.maintenance.expire_jobs")
        db.engine.cache_clear()
        settings.cache_clear()
        monkeypatch.setattr(lost_jobs, "expire", lambda: Decimal("x"))
        run_entry("tasks.maintenance.expire_jobs")
    runs = {
        outcome: grown.of("maintenance_runs_total", task="expire_jobs", outcome=outcome)
        for outcome in ("ok", "deferred", "failed")
    }
    assert runs == {"ok": 1, "deferred": 1, "failed": 1}
    assert grown.of("maintenance_seconds_count", task="expire_jobs") == 3

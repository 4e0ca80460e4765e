"""Back-pressure: who is refused while too much waits, and what is said of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, update

from tasks import batch_backlog, lost_jobs, queue_state, throughput
from tasks.admission import Submission, submit
from tasks.backpressure import QueueFull
from tasks.batch_validation import validate_waiting
from tasks.db import transaction
from tasks.keys import Principal
from tasks.models import Job, JobStatus
from tasks.plan import Endpoint, ServiceTier
from tasks.settings import settings
from tasks.throughput import Throughput
from tasks.wire.job import JOB_REQUEST
from tasks.wire.job_plan import job_plan
from tests.integration.tasks.batch_work import lines, put_batch
from tests.integration.tasks.bookkeeping import finish, row
from tests.integration.tasks.conftest import MODEL

Submit = Callable[..., Submission]
SubmitTier = Callable[[ServiceTier], Submission]


@pytest.fixture
def submit_tier(principal: Principal) -> SubmitTier:
    body = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8}
    plan = job_plan(JOB_REQUEST.validate_python(body))

    def submit_to(tier: ServiceTier) -> Submission:
        return submit(principal, replace(plan, service_tier=tier), idempotency_key=None, request_id=None)

    return submit_to


def age(job_id: str, seconds: float) -> None:
    """As if it had been submitted so long ago."""
    with transaction() as connection:
        connection.execute(
            update(Job).where(Job.id == job_id).values(created_at=func.now() - timedelta(seconds=seconds))
        )
    queue_state.forget()


def taken(submit_tier: SubmitTier) -> list[ServiceTier]:
    """The tiers that take a job now."""
    found = []
    for tier in (ServiceTier.FLEX, ServiceTier.DEFAULT, ServiceTier.PRIORITY):
        queue_state.forget()
        try:
            submit_tier(tier)
        except QueueFull:
            continue
        found.append(tier)
    return found


def test_tiers_are_refused_one_after_the_other_as_the_queue_ages(submit_tier: SubmitTier) -> None:
    oldest = submit_tier(ServiceTier.PRIORITY).job.id
    age(oldest, 590)
    assert len(taken(submit_tier)) == 3
    age(oldest, 610)
    assert taken(submit_tier) == [ServiceTier.DEFAULT, ServiceTier.PRIORITY]
    age(oldest, 1810)
    assert taken(submit_tier) == [ServiceTier.PRIORITY]
    age(oldest, 3610)
    assert taken(submit_tier) == []


def test_what_runs_later_anyway_keeps_no_better_tier_out(submit_tier: SubmitTier) -> None:
    age(submit_tier(ServiceTier.FLEX).job.id, 7200)
    assert taken(submit_tier) == [ServiceTier.DEFAULT, ServiceTier.PRIORITY]


def test_tier_without_a_limit_takes_whatever_comes(
    submit_tier: SubmitTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_MAX_QUEUE_SECONDS_FLEX", "0")
    settings.cache_clear()
    age(submit_tier(ServiceTier.PRIORITY).job.id, 7200)
    assert taken(submit_tier) == [ServiceTier.FLEX]


def test_queue_that_was_worked_off_takes_jobs_again_by_itself(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    age(job_id, 1810)
    with pytest.raises(QueueFull) as refused:
        submit_job()
    assert (refused.value.code, refused.value.retry_after_seconds) == ("queue_full", 60)
    finish(job_id)
    queue_state.forget()
    assert submit_job().job.status is JobStatus.QUEUED


def test_time_to_come_back_follows_the_rate_at_which_jobs_end(submit_job: Submit) -> None:
    waiting = [submit_job().job.id for _ in range(5)]
    for _ in range(4):
        finish(submit_job().job.id)
    with transaction() as connection:
        connection.execute(
            update(Job).where(Job.ended_at.is_not(None)).values(started_at=func.now() - timedelta(seconds=8))
        )
    age(waiting[0], 1810)
    state = queue_state.of(MODEL)
    assert state.jobs_per_second == pytest.approx(0.5, rel=0.1)
    with pytest.raises(QueueFull) as refused:
        submit_job()
    assert refused.value.retry_after_seconds == pytest.approx(10, abs=2)


def test_job_that_would_expire_in_the_queue_is_refused(submit_job: Submit) -> None:
    waiting = [submit_job().job.id for _ in range(4)]
    finish(submit_job().job.id)
    with transaction() as connection:
        connection.execute(
            update(Job).where(Job.ended_at.is_not(None)).values(started_at=func.now() - timedelta(seconds=50))
        )
    age(waiting[0], 90)
    with pytest.raises(QueueFull, match="would expire"):
        submit_job(expires_in_seconds=60)
    assert submit_job(expires_in_seconds=600).job.status is JobStatus.QUEUED


def test_full_queue_still_tells_the_outcome_of_what_was_let_in(submit_job: Submit) -> None:
    first = submit_job(idempotency_key="one")
    age(first.job.id, 7200)
    again = submit_job(idempotency_key="one")
    assert (again.replayed, again.job.id) == (True, first.job.id)
    with pytest.raises(QueueFull):
        submit_job(idempotency_key="two")
    assert row("SELECT count(*) FROM idempotency_keys") == (1,)


def test_refused_job_takes_nothing(submit_job: Submit) -> None:
    age(submit_job().job.id, 7200)
    before = row("SELECT sum(held_usd), (SELECT count(*) FROM jobs) FROM spend")
    with pytest.raises(QueueFull):
        submit_job()
    assert row("SELECT sum(held_usd), (SELECT count(*) FROM jobs) FROM spend") == before


def test_queue_is_looked_at_once_a_second_however_many_ask(
    submit_job: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = queue_state._read

    def read(model: str) -> queue_state.QueueState:
        reads.append(model)
        return real(model)

    monkeypatch.setattr(queue_state, "_read", read)
    queue_state.forget()
    for _ in range(5):
        submit_job()
    assert reads == [MODEL]


def test_batch_is_refused_only_where_the_backlog_exceeds_its_window(
    principal: Principal, batch_storage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = Throughput(tokens_per_second=1.0, output_share=1.0, waiting_tokens=90_000)
    monkeypatch.setattr(throughput, "measure", lambda model: backlog)
    with pytest.raises(QueueFull) as refused:
        put_batch(principal, lines(1))
    assert refused.value.retry_after_seconds == 120
    assert row("SELECT count(*) FROM batches") == (0,)
    put_batch(principal, lines(1), completion_window="48h", completion_window_seconds=172_800)
    batch_backlog.forget()
    monkeypatch.setattr(throughput, "measure", lambda model: None)
    put_batch(principal, lines(1))


def test_file_that_is_no_batch_is_left_to_validation(principal: Principal, batch_storage: None) -> None:
    for content in (b'{"body": []}', b'{"body": {"model": 7}}', b'{"body": {"model": "unheard-of"}}'):
        put_batch(principal, [content], endpoint=Endpoint.COMPLETIONS)
    assert validate_waiting() == 3


def test_job_that_nobody_begins_in_time_ends_with_queue_timeout(
    submit_job: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, young, running = (submit_job().job.id for _ in range(3))
    monkeypatch.setenv("TOKENMILL_QUEUE_TIMEOUT_SECONDS", "100")
    settings.cache_clear()
    for job_id in (late, running):
        age(job_id, 101)
    with transaction() as connection:
        connection.execute(update(Job).where(Job.id == running).values(attempt=1))
        # Ids tell the time too, and these are of this moment.
        monkeypatch.setattr(lost_jobs, "time", lambda: 1e11)
    assert lost_jobs.expire() == 1
    found = row("SELECT status, error_code, cost_usd FROM jobs WHERE id = :id", id=late)
    assert tuple(found) == ("expired", "queue_timeout", 0)
    assert row("SELECT count(*) FROM holds") == (2,)
    assert row("SELECT status FROM jobs WHERE id = :id", id=young) == ("queued",)

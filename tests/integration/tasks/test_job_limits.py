"""Limits as jobs meet them: refused for want of room, let through with it, and nothing leaks."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from inference.request import OutcomeStatus
from tasks import admission, batch_validation, keys, limit_book, lost_jobs, projects, rate_limits
from tasks.actor import OPERATOR
from tasks.admission import Submission
from tasks.batch import BatchStatus
from tasks.cancellation import cancel_job
from tasks.errors import (
    DatabaseUnavailable,
    InsufficientQuota,
    LimitsUnavailable,
    RateLimitReached,
    TooManyJobs,
)
from tasks.keys import Principal
from tasks.limit import tightest
from tasks.limit_counters import counters
from tasks.plan import ServiceTier
from tasks.settings import settings
from tasks.wire.job import JOB_REQUEST
from tasks.wire.job_plan import job_plan
from tests.integration.tasks.batch_work import again, batch_worker, begin_batch, change, lines, one, put_batch
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.hand_worker import working
from tests.integration.tasks.publications import Publications

SubmitJob = Callable[..., Submission]
FLEX = ServiceTier.FLEX
# "Once upon" and eight more.
TOKENS = 10


@pytest.fixture
def submit_plan(principal: Principal) -> SubmitJob:
    """Admit a job; the keyword arguments change its plan, in what the jobs of this API don't have."""

    def submit(by: Principal = principal, **changes: Any) -> Submission:
        body = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8}
        plan = replace(job_plan(JOB_REQUEST.validate_python(body)), **changes)
        return admission.submit(by, plan, idempotency_key=None, request_id=None)

    return submit


@pytest.fixture
def limited(principal: Principal) -> Callable[..., None]:
    """Change the limits of the project; without a model and tier, of all of it together."""

    def change_limits(which: str = f"rl-{MODEL}", **amounts: int | None) -> None:
        rate_limits.update_rate_limit(OPERATOR, principal.project_id, which, amounts)
        limit_book._cache.clear()

    return change_limits


Limited = Callable[..., None]


def left(submission: Submission) -> int:
    """The tokens that are left of the tightest limit."""
    found = tightest(submission.standings, "tokens")
    assert found is not None
    return found.remaining


def test_tokens_of_a_model_run_out_and_its_other_tiers_are_counted_apart(
    submit_job: SubmitJob, submit_plan: SubmitJob, limited: Limited
) -> None:
    limited(tokens_per_minute=2 * TOKENS + 5)
    assert left(submit_job()) == TOKENS + 5
    submit_job()
    with pytest.raises(RateLimitReached, match=r"25 tokens per minute of the model .* default tier"):
        submit_job()
    submit_plan(service_tier=FLEX)
    submit_job(max_tokens=3)
    limited(f"rl-{MODEL}:flex", tokens_per_minute=TOKENS)
    submit_plan(service_tier=FLEX)
    with pytest.raises(RateLimitReached, match="flex tier"):
        submit_plan(service_tier=FLEX)


def test_project_is_limited_as_a_whole_and_others_are_not(
    submit_job: SubmitJob, submit_plan: SubmitJob, limited: Limited
) -> None:
    limited("rl-*", requests_per_day=2)
    submit_job()
    submit_plan(service_tier=FLEX)
    with pytest.raises(RateLimitReached, match="2 requests per day of this project"):
        submit_job()
    other = projects.create_project("other")
    submit_job(by=keys.authenticate(keys.create_key(other.id, "theirs").secret))


def test_tokens_of_a_key_run_out_and_another_key_of_the_project_goes_on(
    submit_job: SubmitJob, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_TOKENS_PER_MINUTE", str(TOKENS))
    settings.cache_clear()
    submit_job()
    with pytest.raises(RateLimitReached, match="tokens per minute of this API key"):
        submit_job()
    submit_job(by=keys.authenticate(keys.create_key(principal.project_id, "other").secret))


def test_several_outputs_take_the_tokens_of_all(
    submit_job: SubmitJob, submit_plan: SubmitJob, limited: Limited
) -> None:
    limited(tokens_per_minute=100)
    assert left(submit_plan(n=3, best_of=3)) == 100 - 2 - 3 * 8
    with pytest.raises(RateLimitReached, match="this request alone needs 202"):
        submit_job(max_tokens=200)


def test_amount_of_null_is_the_default_again(submit_job: SubmitJob, limited: Limited) -> None:
    limited(requests_per_minute=1)
    submit_job()
    with pytest.raises(RateLimitReached):
        submit_job()
    limited(requests_per_minute=None)
    submit_job()


def test_default_of_models_is_a_setting(submit_job: SubmitJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_MODEL_LIMITS", '{"requests_per_minute": 1}')
    settings.cache_clear()
    submit_job()
    with pytest.raises(RateLimitReached, match="1 requests per minute of the model"):
        submit_job()


def run(job_id: str, status: OutcomeStatus) -> None:
    """The job ends so, after five tokens."""
    with working() as worker:
        generation = worker.take(job_id)
        generation.generate(1, 2, 3, 4, 5)
        generation.end(status)
        worker.runner.run(job_id)
        while worker.runner._flights.all():
            time.sleep(0.01)


@pytest.fixture(params=["memory", "redis"])
def either_counters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counters in this process's memory, then in Redis."""
    if request.param == "memory":
        yield
        return
    url, prefix = request.getfixturevalue("redis_url"), f"test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("TOKENMILL_QUEUE_PREFIX", prefix)
    settings.cache_clear()
    counters.cache_clear()
    yield
    with Redis.from_url(url) as redis:
        for name in redis.scan_iter(f"{prefix}:*"):
            redis.delete(name)


@pytest.mark.usefixtures("either_counters")
def test_job_gives_back_what_it_did_not_generate(submit_job: SubmitJob, limited: Limited) -> None:
    limited(tokens_per_minute=100)
    job_id = submit_job(max_tokens=50).job.id
    run(job_id, OutcomeStatus.COMPLETED)
    assert left(submit_job()) == 100 - 7 - TOKENS


@pytest.mark.usefixtures("either_counters")
def test_cancelled_expired_and_failed_jobs_give_back_everything(
    submit_job: SubmitJob, principal: Principal, limited: Limited
) -> None:
    limited(tokens_per_minute=3 * 52 + TOKENS)
    cancelled, expired, failed = (submit_job(max_tokens=50).job.id for _ in range(3))
    cancel_job(principal.project_id, cancelled)
    change("UPDATE jobs SET expires_at = now() WHERE id = :id", id=expired)
    assert lost_jobs.expire() == 1
    run(failed, OutcomeStatus.FAILED)
    assert left(submit_job()) == 3 * 52


def test_job_that_is_not_admitted_takes_no_tokens(
    submit_job: SubmitJob, principal: Principal, limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(tokens_per_minute=2 * TOKENS)
    change("UPDATE spend SET limit_usd = 0 WHERE project_id = :id", id=principal.project_id)
    with pytest.raises(InsufficientQuota):
        submit_job()
    change("UPDATE spend SET limit_usd = NULL WHERE project_id = :id", id=principal.project_id)

    def away(_: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as outage:
        outage.setattr(admission, "admit", away)
        with pytest.raises(DatabaseUnavailable):
            submit_job()
    assert left(submit_job()) == TOKENS


def test_replayed_request_takes_no_tokens_again(submit_job: SubmitJob, limited: Limited) -> None:
    limited(tokens_per_minute=3 * TOKENS)
    submit_job(idempotency_key="k")
    assert submit_job(idempotency_key="k").replayed
    assert left(submit_job()) == TOKENS


def test_parallel_submits_never_get_past_the_cap_on_unfinished_jobs(
    submit_job: SubmitJob, principal: Principal, limited: Limited
) -> None:
    limited("rl-*", concurrent_jobs=7)

    def attempt(_: int) -> str | None:
        try:
            return submit_job().job.id
        except TooManyJobs:
            return None

    with ThreadPoolExecutor(20) as threads:
        admitted = [job_id for job_id in threads.map(attempt, range(40)) if job_id]
    assert len(admitted) == 7
    cancel_job(principal.project_id, admitted[0])
    submit_job()
    with pytest.raises(TooManyJobs, match="7 unfinished jobs of this project"):
        submit_job()


def test_unfinished_jobs_are_capped_by_model_and_by_key(
    submit_job: SubmitJob,
    submit_plan: SubmitJob,
    principal: Principal,
    limited: Limited,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited(concurrent_jobs=1)
    submit_job()
    with pytest.raises(TooManyJobs, match="of the model"):
        submit_job()
    submit_plan(service_tier=FLEX)
    monkeypatch.setenv("TOKENMILL_KEY_LIMITS", '{"concurrent_jobs": 2}')
    settings.cache_clear()
    with pytest.raises(TooManyJobs, match="of this API key"):
        submit_plan(service_tier=FLEX)
    other = keys.authenticate(keys.create_key(principal.project_id, "other").secret)
    submit_plan(by=other, service_tier=FLEX)


def test_job_over_the_cap_holds_no_money_and_no_tokens(
    submit_job: SubmitJob, principal: Principal, limited: Limited
) -> None:
    limited(concurrent_jobs=1, tokens_per_minute=100)
    submit_job()
    held = held_usd(principal)
    with pytest.raises(TooManyJobs):
        submit_job()
    assert held_usd(principal) == held
    limited(concurrent_jobs=0)
    assert left(submit_job()) == 100 - 2 * TOKENS


def held_usd(principal: Principal) -> Decimal:
    amount: Decimal = one("SELECT held_usd FROM spend WHERE project_id = :id", id=principal.project_id)
    return amount


def test_without_redis_and_closed_nothing_is_admitted(
    submit_job: SubmitJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("TOKENMILL_LIMITS_WHEN_REDIS_IS_AWAY", "closed")
    settings.cache_clear()
    counters.cache_clear()
    with pytest.raises(LimitsUnavailable):
        submit_job()


def test_limits_last_known_hold_while_the_database_is_away(
    principal: Principal, limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited("rl-*", tokens_per_day=5)
    assert limit_book.limits_of(principal.project_id).whole().tokens_per_day == 5

    def away(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(limit_book, "said_in", away)
    monkeypatch.setattr(limit_book, "monotonic", lambda: float("inf"))
    assert limit_book.limits_of(principal.project_id).whole().tokens_per_day == 5
    assert limit_book.limits_of("proj_unknown").whole().tokens_per_day == 0


@pytest.mark.usefixtures("batch_storage")
def test_batch_beyond_the_queue_of_its_model_fails_and_fits_when_another_has_ended(
    principal: Principal, publications: Publications, submit_job: SubmitJob, limited: Limited
) -> None:
    first = begin_batch(principal, lines(20))
    queued = "SELECT queued_tokens FROM batches WHERE id = :id"
    tokens = one(queued, id=first.id)
    assert tokens == one("SELECT sum(prompt_tokens) FROM jobs WHERE batch_id = :id", id=first.id)
    limited(queued_batch_tokens=2 * tokens - 1, tokens_per_minute=TOKENS, concurrent_jobs=1)
    refused = put_batch(principal, lines(20))
    assert batch_validation.validate_waiting() == 1
    assert again(refused).status is BatchStatus.FAILED
    assert again(refused).errors is not None
    assert [error["code"] for error in again(refused).errors or []] == ["token_limit_exceeded"]
    # What batches have queued counts against nothing that is interactive.
    submit_job()
    with batch_worker(publications) as worker:
        worker.run_to_end(first)
    assert begin_batch(principal, lines(20)).status is BatchStatus.IN_PROGRESS


@pytest.mark.usefixtures("batch_storage")
def test_project_may_queue_so_many_tokens_in_batches_of_all_models(
    principal: Principal, limited: Limited
) -> None:
    limited("rl-*", queued_batch_tokens=1)
    assert begin_batch(principal, lines(2)).status is BatchStatus.FAILED

"""The state machine of a job, on a real Postgres."""

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import func, insert, select

from tasks import cancellation, claiming, job_queries, jobs
from tasks.admission import Submission
from tasks.db import transaction
from tasks.errors import JobAlreadyEnded, JobNotFound
from tasks.jobs import ClaimedJob, Ending
from tasks.keys import Principal
from tasks.models import Checkpoint, Hold, JobStatus, LedgerEntry, Spend

Submit = Callable[..., Submission]


def claim(job_id: str, worker: str = "worker_a") -> ClaimedJob | None:
    with transaction() as connection:
        return claiming.claim(connection, job_id, worker)


def completed(job_id: str, attempt: int, completion_tokens: int = 3) -> Ending:
    return Ending(
        job_id=job_id,
        attempt=attempt,
        status=JobStatus.COMPLETED,
        output_text=" a time",
        output_token_ids=[1, 2, 3],
        finish_reason="stop",
        prompt_tokens=2,
        completion_tokens=completion_tokens,
    )


def finish(*endings: Ending) -> list[str]:
    with transaction() as connection:
        return jobs.end(connection, endings)


def money(project_id: str) -> tuple[Decimal, Decimal, Decimal, int]:
    """Held, spent, the sum of the charges, and how many holds there are."""
    with transaction() as connection:
        held, spent = connection.execute(
            select(Spend.held_usd, Spend.spent_usd).where(Spend.project_id == project_id)
        ).one()
        charged = connection.execute(select(func.coalesce(func.sum(LedgerEntry.amount_usd), 0))).scalar_one()
        holds = connection.execute(select(func.count()).select_from(Hold)).scalar_one()
    return held, spent, charged, holds


def test_job_goes_from_submit_to_one_bill(submit_job: Submit, principal: Principal) -> None:
    submission = submit_job()
    job = submission.job
    assert job.status is JobStatus.QUEUED
    held, spent, _, holds = money(principal.project_id)
    assert held > 0
    assert (spent, holds) == (0, 1)

    claimed = claim(job.id)
    assert claimed is not None
    assert claimed.attempt == 1
    assert finish(completed(job.id, 1)) == [job.id]

    ended = job_queries.get_job(principal.project_id, job.id)
    price = job.prompt_tokens  # two tokens at 0.02 and three at 0.08 dollars a million
    assert price == 2
    assert ended.cost_usd == Decimal("0.00000028")
    assert money(principal.project_id) == (0, ended.cost_usd, ended.cost_usd, 0)


def test_job_claimed_by_many_at_once_goes_to_one(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    start, claims = threading.Barrier(8), []

    def try_to_claim() -> None:
        start.wait()
        claims.append(claim(job_id))

    threads = [threading.Thread(target=try_to_claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [c.attempt for c in claims if c is not None] == [1]


def test_ending_twice_at_once_bills_once(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    claim(job_id)
    start, ended = threading.Barrier(8), []

    def end() -> None:
        start.wait()
        ended.extend(finish(completed(job_id, 1)))

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [job_id]
    held, spent, charged, holds = money(principal.project_id)
    assert (held, holds) == (0, 0)
    assert spent == charged == Decimal("0.00000028")


def test_ending_of_an_earlier_attempt_is_fenced_off(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    claim(job_id, "worker_a")
    with transaction() as connection:
        jobs.take_from_dead(connection, [(job_id, 1)])
    second = claim(job_id, "worker_b")
    assert second is not None
    assert second.attempt == 2
    assert finish(completed(job_id, 1)) == []
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.IN_PROGRESS
    assert finish(completed(job_id, 2)) == [job_id]


def test_terminal_status_never_changes(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    claim(job_id)
    finish(completed(job_id, 1))
    before = job_queries.get_job(principal.project_id, job_id)
    with pytest.raises(JobAlreadyEnded):
        cancellation.cancel_job(principal.project_id, job_id)
    assert finish(Ending(job_id=job_id, attempt=1, status=JobStatus.FAILED)) == []
    assert claim(job_id) is None
    with transaction() as connection:
        jobs.take_from_dead(connection, [(job_id, 1)])
    assert job_queries.get_job(principal.project_id, job_id) == before


def test_cancel_while_queued_ends_at_once_and_charges_nothing(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = submit_job().job.id
    assert cancellation.cancel_job(principal.project_id, job_id).status is JobStatus.CANCELLED
    assert cancellation.cancel_job(principal.project_id, job_id).status is JobStatus.CANCELLED
    assert claim(job_id) is None
    assert money(principal.project_id) == (0, 0, 0, 0)


def test_cancel_of_another_projects_job_is_not_found(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    with pytest.raises(JobNotFound):
        cancellation.cancel_job("proj_other", job_id)


def test_resumed_job_starts_from_its_checkpoint(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    claim(job_id)
    with transaction() as connection:
        connection.execute(insert(Checkpoint).values(job_id=job_id, attempt=1, token_ids=[7, 8], text=" ab"))
        jobs.hand_back(connection, [(job_id, 1)])
    again = claim(job_id)
    assert again is not None
    assert [choice.token_ids for choice in again.saved] == [(7, 8)]
    finish(completed(job_id, 2))
    with transaction() as connection:
        assert connection.execute(select(func.count()).select_from(Checkpoint)).scalar_one() == 0


def test_many_endings_share_a_transaction_and_each_is_billed(
    submit_job: Submit, principal: Principal
) -> None:
    ids = [submit_job().job.id for _ in range(20)]
    for job_id in ids:
        claim(job_id)
    stale = [completed(job_id, 9) for job_id in ids[:5]]
    assert finish(*stale, *[completed(job_id, 1) for job_id in ids[5:]]) == ids[5:]
    held, spent, charged, holds = money(principal.project_id)
    assert spent == charged == 15 * Decimal("0.00000028")
    assert holds == 5
    assert held > 0

"""Dead workers, expired jobs and lost messages, on a real Postgres."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from tasks import claiming, job_queries, jobs, lost_jobs, outbox
from tasks.admission import Submission
from tasks.db import transaction
from tasks.flight import Flight, Flights
from tasks.keeper import Keeper
from tasks.keys import Principal
from tasks.live_workers import dead
from tasks.models import Job, JobStatus, LedgerEntry, Worker
from tasks.settings import settings
from tasks.worker_identity import WorkerIdentity

Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def quick_leases(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard after a database start, and a silence, of a tenth of a second."""
    monkeypatch.setenv("TOKENMILL_LEASE_SECONDS", "0.1")
    monkeypatch.setenv("TOKENMILL_WORKER_SILENCE_SECONDS", "0.05")
    settings.cache_clear()


@pytest.fixture
def worker() -> Iterator[WorkerIdentity]:
    identity = WorkerIdentity(model="smollm2-135m-instruct", quantization="fp32", slots=4)
    identity.register()
    yield identity
    identity.withdraw()


def claim(job_id: str, worker: WorkerIdentity) -> jobs.ClaimedJob | None:
    with transaction() as connection:
        return claiming.claim(connection, job_id, worker.id)


def say_silent(worker: WorkerIdentity, *, lease_left_seconds: float) -> None:
    """As if the worker had not been heard of for a while."""
    with transaction() as connection:
        connection.execute(
            update(Worker)
            .where(Worker.id == worker.id)
            .values(
                last_seen_at=func.now() - timedelta(seconds=10),
                lease_expires_at=func.now() + timedelta(seconds=lease_left_seconds),
            )
        )


def is_dead(worker: WorkerIdentity) -> bool:
    with transaction() as connection:
        return connection.execute(select(dead()).where(Worker.id == worker.id)).scalar_one()


def test_worker_that_holds_its_lock_and_lease_is_alive(worker: WorkerIdentity) -> None:
    say_silent(worker, lease_left_seconds=60)
    assert not is_dead(worker)


def test_worker_whose_connection_died_is_dead_before_its_lease_runs_out(worker: WorkerIdentity) -> None:
    say_silent(worker, lease_left_seconds=60)
    worker._drop_lock()
    assert is_dead(worker)
    worker.renew()
    assert not is_dead(worker)


def test_frozen_worker_is_dead_when_its_lease_runs_out(worker: WorkerIdentity) -> None:
    say_silent(worker, lease_left_seconds=-1)
    assert is_dead(worker)


def test_database_that_has_just_started_declares_nobody_dead(
    worker: WorkerIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_silent(worker, lease_left_seconds=-1)
    monkeypatch.setenv("TOKENMILL_LEASE_SECONDS", "100000")
    settings.cache_clear()
    assert not is_dead(worker)


def test_lock_lost_with_its_connection_is_taken_again(worker: WorkerIdentity) -> None:
    with transaction() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        )
    worker.renew()
    say_silent(worker, lease_left_seconds=60)
    assert not is_dead(worker)


def test_dead_workers_job_is_queued_again_and_fails_after_three_losses(
    submit_job: Submit, principal: Principal, worker: WorkerIdentity
) -> None:
    job_id = submit_job().job.id
    for attempt in (1, 2, 3):
        claimed = claim(job_id, worker)
        assert claimed is not None
        assert claimed.attempt == attempt
        say_silent(worker, lease_left_seconds=-1)
        assert lost_jobs.release() == 1
        worker.renew()
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.error_code, job.cost_usd) == (JobStatus.FAILED, "worker_lost", 0)
    with transaction() as connection:
        assert connection.execute(select(func.count()).select_from(LedgerEntry)).scalar_one() == 0


def test_job_handed_back_does_not_count_as_lost(submit_job: Submit, worker: WorkerIdentity) -> None:
    job_id = submit_job().job.id
    for attempt in range(1, 6):
        assert claim(job_id, worker) is not None
        with transaction() as connection:
            jobs.hand_back(connection, [(job_id, attempt)])
    with transaction() as connection:
        row = connection.execute(select(Job.status, Job.worker_losses).where(Job.id == job_id)).one()
    assert tuple(row) == ("queued", 0)


def test_cancel_of_a_dead_workers_job_is_carried_out_unbilled(
    submit_job: Submit, principal: Principal, worker: WorkerIdentity
) -> None:
    job_id = submit_job().job.id
    claim(job_id, worker)
    with transaction() as connection:
        jobs.request_cancel(connection, job_id)
    say_silent(worker, lease_left_seconds=-1)
    lost_jobs.release()
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.cost_usd) == (JobStatus.CANCELLED, 0)


def test_two_schedulers_at_once_release_each_job_once(submit_job: Submit, worker: WorkerIdentity) -> None:
    ids = [submit_job().job.id for _ in range(30)]
    for job_id in ids:
        claim(job_id, worker)
    say_silent(worker, lease_left_seconds=-1)
    start, counts = threading.Barrier(2), []

    def release() -> None:
        start.wait()
        counts.append(lost_jobs.release())

    threads = [threading.Thread(target=release) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 30
    with transaction() as connection:
        assert set(connection.execute(select(Job.worker_losses)).scalars()) == {1}


def test_queued_job_expires_unbilled(
    submit_job: Submit, principal: Principal, worker: WorkerIdentity
) -> None:
    job_id = submit_job(expires_in_seconds=1).job.id
    with transaction() as connection:
        connection.execute(update(Job).values(expires_at=func.now()))
    assert claim(job_id, worker) is None
    assert lost_jobs.expire() == 1
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.error_code, job.cost_usd) == (JobStatus.EXPIRED, "job_expired", 0)


def test_keeper_drops_a_job_that_was_taken_over(submit_job: Submit, worker: WorkerIdentity) -> None:
    flights = Flights()
    claimed = claim(submit_job().job.id, worker)
    assert claimed is not None
    flight = Flight(claimed)
    flights.add(flight)
    with transaction() as connection:
        jobs.take_from_dead(connection, [flight.fence])
    Keeper(worker, flights).reconcile()
    assert flight.given_up
    assert flight.landed.is_set()
    assert flights.all() == []


def test_keeper_queues_again_what_is_owned_but_does_not_run(
    submit_job: Submit, principal: Principal, worker: WorkerIdentity
) -> None:
    job_id = submit_job().job.id
    claim(job_id, worker)
    keeper = Keeper(worker, Flights())
    keeper.reconcile()
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.IN_PROGRESS
    keeper.reconcile()
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.QUEUED


def wait_until_published(job_id: str) -> None:
    """The process's own publisher must be done with the job before a test plays with its row."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with transaction() as connection:
            if connection.execute(select(Job.published_at).where(Job.id == job_id)).scalar_one() is not None:
                return
        time.sleep(0.01)
    raise TimeoutError("the job was not published within 10 s")


def test_relay_publishes_what_was_left_and_only_once(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    wait_until_published(job_id)
    with transaction() as connection:
        old = func.now() - timedelta(seconds=60)
        connection.execute(update(Job).where(Job.id == job_id).values(created_at=old, published_at=None))
    assert outbox.relay() == 1
    assert outbox.relay() == 0


def test_message_that_the_broker_lost_is_published_again(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    wait_until_published(job_id)
    with transaction() as connection:
        old = func.now() - timedelta(seconds=600)
        connection.execute(update(Job).where(Job.id == job_id).values(created_at=old, published_at=old))
    from tasks.app import app
    from tasks.queue import queue_for

    with app.connection_for_write() as connection:
        queue_for("smollm2-135m-instruct")(connection.default_channel).purge()
    assert outbox.republish_lost() == 1
    assert outbox.relay() == 1
    assert outbox.republish_lost() == 0

"""What a worker does around its engine, on a real Postgres."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from celery.exceptions import Reject
from sqlalchemy import select, text

from inference.errors import InvalidGeneration
from tasks import cancellation, db, events, generate, job_queries, worker
from tasks.admission import Submission
from tasks.db import transaction
from tasks.errors import WorkerLeaving
from tasks.keys import Principal
from tasks.models import Checkpoint, Job, JobStatus, LedgerEntry
from tasks.runner import JobRunner
from tasks.settings import settings
from tasks.text_engine import TextEngine
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.scripted_engine import ScriptedEngine, ScriptedGeneration

Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def quick_rounds(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_CHECKPOINT_INTERVAL_SECONDS", "0.05")
    monkeypatch.setenv("TOKENMILL_RENEW_INTERVAL_SECONDS", "0.1")
    settings.cache_clear()


@contextmanager
def running(engine: ScriptedEngine) -> Iterator[JobRunner]:
    identity = WorkerIdentity(model="smollm2-135m-instruct", quantization="fp32", slots=4)
    runner = JobRunner(TextEngine(engine), identity)
    runner.start()
    try:
        yield runner
    finally:
        runner.drain(0)
        runner.close()


def in_thread(runner: JobRunner, job_id: str) -> threading.Thread:
    thread = threading.Thread(target=runner.run, args=(job_id,))
    thread.start()
    return thread


def charges() -> int:
    with transaction() as connection:
        return len(connection.execute(select(LedgerEntry.id)).all())


def until(condition: Callable[[], object]) -> None:
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.05)
    raise TimeoutError("the condition did not come true within 10 s")


def end_at_once(generation: ScriptedGeneration) -> None:
    generation.generate(1, 2)
    generation.end()


def test_message_delivered_twice_at_once_runs_and_bills_once(
    submit_job: Submit, principal: Principal
) -> None:
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    with running(engine) as runner:
        threads = [in_thread(runner, job_id) for _ in range(6)]
        engine.submitted.acquire()
        engine.generations[0].generate(4)
        engine.generations[0].end()
        for thread in threads:
            thread.join()
        runner.run(job_id)
    assert len(engine.generations) == 1
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.COMPLETED
    assert charges() == 1


def test_cancel_whose_message_was_lost_is_noticed_at_the_next_renewal(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    monkeypatch.setattr(events, "publish", lambda kind, job_ids: None)
    with running(engine) as runner:
        thread = in_thread(runner, job_id)
        engine.submitted.acquire()
        engine.generations[0].generate(4, 5)
        cancellation.cancel_job(principal.project_id, job_id)
        thread.join(10)
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.output_text, job.completion_tokens) == (JobStatus.CANCELLED, " 4 5", 2)
    assert job.cost_usd


def test_tokens_so_far_are_saved_and_the_next_attempt_goes_on_from_them(
    submit_job: Submit, principal: Principal
) -> None:
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    with running(engine) as runner:
        thread = in_thread(runner, job_id)
        engine.submitted.acquire()
        engine.generations[0].generate(4, 5)
        until(lambda: job_queries.get_job(principal.project_id, job_id).output_text == " 4 5")
    thread.join(10)
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.QUEUED
    with running(engine) as runner:
        thread = in_thread(runner, job_id)
        engine.submitted.acquire()
        assert engine.generations[1].request.generated_token_ids == (4, 5)
        engine.generations[1].end()
        thread.join(10)
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.attempt, job.completion_tokens) == (JobStatus.COMPLETED, 2, 2)
    assert charges() == 1
    with transaction() as connection:
        assert connection.execute(select(Checkpoint.job_id)).all() == []


def test_drain_lets_jobs_finish_within_the_grace_time(submit_job: Submit, principal: Principal) -> None:
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    with running(engine) as runner:
        thread = in_thread(runner, job_id)
        engine.submitted.acquire()
        threading.Timer(0.3, engine.generations[0].end).start()
        runner.drain(10)
        thread.join(10)
        late = submit_job().job.id
        with pytest.raises(WorkerLeaving):
            runner.run(late)
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.COMPLETED
    assert job_queries.get_job(principal.project_id, late).status is JobStatus.QUEUED


def test_message_that_comes_to_a_leaving_worker_goes_back_to_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = mock.Mock(run=mock.Mock(side_effect=WorkerLeaving))
    monkeypatch.setitem(worker._served, "the-queue", mock.Mock(runner=runner))
    monkeypatch.setattr(generate, "_PAUSE_BEFORE_RETURN_SECONDS", 0)
    task = generate.generate
    task.push_request(delivery_info={"routing_key": "the-queue"})
    try:
        with pytest.raises(Reject) as returned:
            task.run("job_1")
    finally:
        task.pop_request()
    assert returned.value.requeue


def test_message_is_acknowledged_early_while_a_long_job_goes_on(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENMILL_EARLY_ACK_SECONDS", "0.2")
    settings.cache_clear()
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    with running(engine) as runner:
        runner.run(job_id)
        assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.IN_PROGRESS
        engine.generations[0].end()
        until(lambda: job_queries.get_job(principal.project_id, job_id).status is JobStatus.COMPLETED)


def test_request_the_engine_refuses_fails_alone_and_unbilled(
    submit_job: Submit, principal: Principal
) -> None:
    refused = submit_job().job.id

    def refuse(generation: ScriptedGeneration) -> None:
        if generation.request.request_id.startswith(refused):
            raise InvalidGeneration("no")
        end_at_once(generation)

    other = submit_job().job.id
    with running(ScriptedEngine(refuse)) as runner:
        runner.run(refused)
        runner.run(other)
    job = job_queries.get_job(principal.project_id, refused)
    assert (job.status, job.error_code, job.cost_usd) == (JobStatus.FAILED, "invalid_generation", 0)
    assert job_queries.get_job(principal.project_id, other).status is JobStatus.COMPLETED


def test_ending_that_the_database_refuses_fails_alone(submit_job: Submit, principal: Principal) -> None:
    engine = ScriptedEngine()
    ids = [submit_job().job.id for _ in range(3)]
    with running(engine) as runner:
        threads = [in_thread(runner, job_id) for job_id in ids]
        for _ in ids:
            engine.submitted.acquire()
        for generation in engine.generations:
            # A lone surrogate can't be stored; no tokenizer makes one, and if one did, only its job may fail.
            bad = generation.request.request_id.startswith(ids[1])
            generation.end(text="\ud800" if bad else "fine")
        for thread in threads:
            thread.join(10)
    found = [job_queries.get_job(principal.project_id, job_id) for job_id in ids]
    assert [job.status.value for job in found] == ["completed", "failed", "completed"]
    assert found[1].error_code == "result_unwritable"


def test_result_waits_while_the_database_is_away(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine()
    job_id = submit_job().job.id
    with running(engine) as runner:
        thread = in_thread(runner, job_id)
        engine.submitted.acquire()
        engine.generations[0].generate(4)
        lock_jobs_away(engine.generations[0].end)
        thread.join(15)
        assert not thread.is_alive()
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.COMPLETED
    assert charges() == 1


def lock_jobs_away(meanwhile: Callable[[], None]) -> None:
    """Cut every connection that comes near the jobs table, for a second."""
    with db.unpooled_engine(settings().database_url).begin() as blocker:
        blocker.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        meanwhile()
        for _ in range(10):
            threading.Event().wait(0.1)
            blocker.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    " AND wait_event_type = 'Lock'"
                )
            )


def test_job_row_says_who_runs_it_only_while_it_runs(submit_job: Submit) -> None:
    job_id = submit_job().job.id
    with running(ScriptedEngine(end_at_once)) as runner:
        runner.run(job_id)
    with transaction() as connection:
        assert connection.execute(select(Job.owner).where(Job.id == job_id)).scalar_one() is None

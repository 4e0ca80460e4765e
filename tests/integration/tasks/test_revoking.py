"""Revoking a task, as Flower and `celery control` do, cancels its job; on a real Postgres."""

from collections.abc import Callable

import pytest
from celery.worker.control import Panel

from tasks import control_commands, job_queries
from tasks.admission import Submission
from tasks.errors import InvalidRequest, JobAlreadyEnded, JobNotFound
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.revoking import revoke
from tests.integration.tasks.bookkeeping import finish, row
from tests.integration.tasks.hand_worker import working

Submit = Callable[..., Submission]


def test_queued_job_is_cancelled_and_its_hold_released(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    assert revoke(job_id) == f"{job_id} is cancelled."
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.CANCELLED
    assert row("SELECT count(*) AS holds FROM holds").holds == 0
    # Several workers may be told to, and do it several times.
    revoke(job_id)


def test_running_job_is_cancelled_and_billed_for_just_what_it_had(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = submit_job().job.id
    with working() as worker:
        worker.take(job_id).generate(1, 2, 3)
        assert "at its next token" in revoke(job_id)
        worker.runner.drain(10)
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.completion_tokens) == (JobStatus.CANCELLED, 3)
    assert row("SELECT count(*) AS charges FROM ledger_entries").charges == 1


def test_job_that_has_ended_stays_as_it_is(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    finish(job_id)
    with pytest.raises(JobAlreadyEnded):
        revoke(job_id)
    assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.COMPLETED


def test_task_that_is_no_job_is_refused() -> None:
    with pytest.raises(JobNotFound):
        revoke("job_of_nobody")


def test_slice_is_refused_for_the_batch_is_what_can_be_cancelled() -> None:
    with pytest.raises(InvalidRequest, match="cancel the batch"):
        revoke("slice_01")


@pytest.mark.parametrize("command", ["revoke", "terminate"])
def test_celery_control_cancels_jobs_and_throws_no_message_away(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(Panel, "data", dict(Panel.data))
    monkeypatch.setattr(Panel, "meta", dict(Panel.meta))
    control_commands.register()
    job_ids = [submit_job().job.id for _ in range(2)]
    answer = Panel.data[command](object(), task_id=job_ids, signal="SIGTERM")
    assert set(answer) == {"ok"}
    for job_id in job_ids:
        assert job_queries.get_job(principal.project_id, job_id).status is JobStatus.CANCELLED
    assert set(Panel.data[command](object(), task_id="job_of_nobody")) == {"error"}

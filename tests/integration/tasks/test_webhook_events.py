"""What projects are told of, in the transaction that makes it happen."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tasks import (
    batch_ending,
    batch_validation,
    cancellation,
    jobs,
    keys,
    lost_jobs,
    projects,
    webhook_endpoints,
)
from tasks.admission import Submission
from tasks.batches import cancel_batch
from tasks.db import transaction
from tasks.jobs import Ending
from tasks.keys import Principal
from tasks.models import JobStatus
from tests.integration.tasks.batch_work import batch_worker, begin_batch, change, lines, one, put_batch
from tests.integration.tasks.publications import Publications
from tests.integration.tasks.response_jobs import Responder
from tests.integration.tasks.webhook_work import WebhookWork

Submit = Callable[..., Submission]

pytestmark = pytest.mark.usefixtures("batch_storage")


@pytest.fixture
def work(principal: Principal) -> WebhookWork:
    return WebhookWork(principal.project_id, "https://hooks.example.com/")


def end(job_id: str, status: JobStatus, **changes: Any) -> None:
    ending = Ending(job_id=job_id, attempt=0, status=status, output_text="", output_token_ids=[], **changes)
    with transaction() as connection:
        jobs.end(connection, [ending])


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
def test_end_of_a_job_is_told(work: WebhookWork, submit_job: Submit, status: str) -> None:
    endpoint = work.endpoint().endpoint
    job_id = submit_job().job.id
    end(job_id, JobStatus(status), finish_reason="length" if status == "completed" else None)
    (delivery,) = work.deliveries(endpoint.id)
    assert (delivery.event_type, delivery.status, delivery.attempts) == (f"job.{status}", "pending", 0)
    event = json.loads(delivery.body)
    assert (event["id"], event["data"]) == (delivery.event_id, {"id": job_id})


def test_job_that_its_client_cancels_is_told(work: WebhookWork, submit_job: Submit) -> None:
    endpoint = work.endpoint().endpoint
    cancellation.cancel_job(work.project_id, submit_job().job.id)
    assert work.told(endpoint.id) == ["job.cancelled"]


def test_job_that_expires_in_the_queue_is_told(work: WebhookWork, submit_job: Submit) -> None:
    endpoint = work.endpoint().endpoint
    submit_job()
    change("UPDATE jobs SET expires_at = now() - interval '1 s'")
    lost_jobs.expire()
    assert work.told(endpoint.id) == ["job.expired"]


def test_transaction_that_is_rolled_back_tells_nothing(work: WebhookWork, submit_job: Submit) -> None:
    endpoint = work.endpoint().endpoint
    job_id = submit_job().job.id
    with pytest.raises(RuntimeError), transaction() as connection:  # noqa: PT012 - it has to end inside
        jobs.end(connection, [Ending(job_id=job_id, attempt=0, status=JobStatus.FAILED)])
        raise RuntimeError
    assert work.told(endpoint.id) == []


def test_job_that_ends_twice_is_told_once(work: WebhookWork, submit_job: Submit) -> None:
    endpoint = work.endpoint().endpoint
    job_id = submit_job().job.id
    end(job_id, JobStatus.FAILED)
    end(job_id, JobStatus.FAILED)
    assert work.told(endpoint.id) == ["job.failed"]


@pytest.mark.parametrize(
    ("status", "changes", "told"),
    [
        (JobStatus.COMPLETED, {}, "response.completed"),
        (JobStatus.COMPLETED, {"finish_reason": "length"}, "response.incomplete"),
        (JobStatus.FAILED, {}, "response.failed"),
        (JobStatus.EXPIRED, {}, "response.failed"),
        (JobStatus.CANCELLED, {}, "response.cancelled"),
    ],
)
def test_end_of_a_response_in_the_background_is_told_under_its_own_id(
    work: WebhookWork, principal: Principal, status: JobStatus, changes: dict[str, Any], told: str
) -> None:
    endpoint = work.endpoint().endpoint
    responder = Responder(principal)
    response_id = responder.begin("Hello", background=True)
    responder.end(response_id, "Hi", status, **changes)
    (delivery,) = work.deliveries(endpoint.id)
    assert (delivery.event_type, json.loads(delivery.body)["data"]) == (told, {"id": response_id})


def test_response_that_its_client_waits_for_is_not_told(work: WebhookWork, principal: Principal) -> None:
    endpoint = work.endpoint().endpoint
    Responder(principal).respond("Hello", "Hi")
    assert work.told(endpoint.id) == []


def test_endpoint_is_told_only_of_what_it_listens_to(work: WebhookWork, submit_job: Submit) -> None:
    all_jobs, failures = work.endpoint().endpoint, work.endpoint(event_types=["job.failed"]).endpoint
    end(submit_job().job.id, JobStatus.COMPLETED)
    end(submit_job().job.id, JobStatus.FAILED)
    assert work.told(all_jobs.id) == ["job.completed", "job.failed"]
    assert work.told(failures.id) == ["job.failed"]
    assert work.deliveries(failures.id)[0].event_id == work.deliveries(all_jobs.id)[1].event_id


def test_other_projects_disabled_and_deleted_endpoints_are_told_nothing(
    work: WebhookWork, submit_job: Submit
) -> None:
    other = WebhookWork(projects.create_project("other").id, work.url)
    of_other = other.endpoint().endpoint
    disabled, deleted = work.endpoint(enabled=False).endpoint, work.endpoint().endpoint
    webhook_endpoints.delete_endpoint(work.project_id, deleted.id)
    end(submit_job().job.id, JobStatus.COMPLETED)
    assert other.told(of_other.id) == []
    assert work.told(disabled.id) == []
    assert one("SELECT count(*) FROM webhook_deliveries") == 0


def test_jobs_of_many_projects_that_end_together_are_each_told_their_own(
    work: WebhookWork, submit_job: Submit
) -> None:
    other = WebhookWork(projects.create_project("other").id, work.url)
    key = keys.authenticate(keys.create_key(other.project_id, "tests").secret)
    endpoints = [each.endpoint().endpoint for each in (work, other)]
    job_ids = [submit_job().job.id, submit_job(by=key).job.id]
    with transaction() as connection:
        endings = [Ending(job_id=job_id, attempt=0, status=JobStatus.FAILED) for job_id in job_ids]
        assert set(jobs.end(connection, endings)) == set(job_ids)
    for each, endpoint, job_id in zip((work, other), endpoints, job_ids, strict=True):
        (delivery,) = each.deliveries(endpoint.id)
        assert json.loads(delivery.body)["data"] == {"id": job_id}


def test_event_of_another_kind_is_told_with_its_data(work: WebhookWork) -> None:
    endpoint = work.endpoint(event_types=["budget.threshold_reached"]).endpoint
    work.tell("budget.threshold_reached", "proj_1")
    assert work.told(endpoint.id) == ["budget.threshold_reached"]


def test_batch_that_completes_is_told_once(
    work: WebhookWork, principal: Principal, publications: Publications
) -> None:
    endpoint = work.endpoint().endpoint
    batch = begin_batch(principal, lines(3))
    with batch_worker(publications) as worker:
        worker.run_to_end(batch)
    (delivery,) = work.deliveries(endpoint.id)
    event = json.loads(delivery.body)
    assert (event["type"], event["data"]) == ("batch.completed", {"id": batch.id})


def test_batch_that_is_refused_is_told(work: WebhookWork, principal: Principal) -> None:
    endpoint = work.endpoint().endpoint
    put_batch(principal, [b"{}\n"])
    batch_validation.validate_waiting()
    assert work.told(endpoint.id) == ["batch.failed"]


def test_batch_that_is_cancelled_is_told(work: WebhookWork, principal: Principal) -> None:
    endpoint = work.endpoint().endpoint
    batch = begin_batch(principal, lines(3))
    cancel_batch(work.project_id, batch.id)
    batch_ending.end_due()
    batch_ending.end_due()
    assert work.told(endpoint.id) == ["batch.cancelled"]


@pytest.mark.parametrize("validated", [True, False])
def test_batch_that_expires_is_told(work: WebhookWork, principal: Principal, validated: bool) -> None:
    endpoint = work.endpoint().endpoint
    (begin_batch if validated else put_batch)(principal, lines(3))
    change("UPDATE batches SET expires_at = now() - :ago", ago=timedelta(seconds=1))
    change("UPDATE jobs SET expires_at = now() - :ago", ago=timedelta(seconds=1))
    batch_ending.end_due()
    lost_jobs.expire()
    batch_ending.end_due()
    assert work.told(endpoint.id) == ["batch.expired"]

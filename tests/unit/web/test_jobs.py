"""What the jobs API makes of requests and records; what is behind it is tested where it lives."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from flask.testing import FlaskClient

from tasks import admission, cancellation, job_queries, retry_after
from tasks.admission import Submission
from tasks.errors import JobAlreadyEnded, JobNotFound
from tasks.job import JobRecord
from tasks.job_queries import JobFilter, JobPage
from tasks.models import JobStatus
from tasks.plan import JobType
from tests.unit.web.conftest import AUTHORIZED

MakeJob = Callable[..., JobRecord]
BODY = {"type": "completion", "model": "smollm2", "prompt": "hello"}


@pytest.fixture(autouse=True)
def _five_seconds_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_after, "seconds", lambda model, tier: 5)


def serve_job(monkeypatch: pytest.MonkeyPatch, job: JobRecord) -> None:
    monkeypatch.setattr(job_queries, "get_job", lambda project_id, job_id: job)


def test_submitted_job_is_accepted_with_its_address(
    client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def submit(principal: object, request: object, **options: Any) -> Submission:
        calls.append(options)
        return Submission(make_job(), replayed=False)

    monkeypatch.setattr(admission, "submit", submit)
    response = client.post("/v1/jobs", json=BODY, headers={**AUTHORIZED, "Idempotency-Key": "k1"})
    assert response.status_code == 202
    assert response.headers["Location"] == "/v1/jobs/job_1"
    assert "Idempotent-Replayed" not in response.headers
    assert response.get_json()["id"] == "job_1"
    assert calls == [{"idempotency_key": "k1", "request_id": response.headers["x-request-id"]}]


def test_replayed_submission_is_a_200_that_says_so(
    client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "submit", lambda *args, **options: Submission(make_job(), replayed=True))
    response = client.post("/v1/jobs", json=BODY, headers=AUTHORIZED)
    assert (response.status_code, response.headers["Idempotent-Replayed"]) == (200, "true")
    assert response.headers["Location"] == "/v1/jobs/job_1"


def test_unfinished_job_tells_when_to_ask_again_and_an_ended_one_does_not(
    client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_job(monkeypatch, make_job())
    assert client.get("/v1/jobs/job_1", headers=AUTHORIZED).headers["Retry-After"] == "5"
    serve_job(monkeypatch, make_job(status=JobStatus.FAILED, error_code="worker_lost"))
    assert "Retry-After" not in client.get("/v1/jobs/job_1", headers=AUTHORIZED).headers


def test_etag_is_strong_and_spares_the_body_until_the_job_changes(
    client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_job(monkeypatch, make_job())
    first = client.get("/v1/jobs/job_1", headers=AUTHORIZED)
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    conditional = {**AUTHORIZED, "If-None-Match": tag}
    same = client.get("/v1/jobs/job_1", headers=conditional)
    assert (same.status_code, same.get_data(), same.headers["ETag"]) == (304, b"", tag)
    for changes in ({"queue_position": 2}, {"status": JobStatus.IN_PROGRESS, "attempt": 1}, {"attempt": 2}):
        serve_job(monkeypatch, make_job(**changes))
        assert client.get("/v1/jobs/job_1", headers=conditional).status_code == 200


def test_job_that_is_not_there_is_a_404(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(project_id: str, job_id: str) -> JobRecord:
        raise JobNotFound(param="job_id")

    monkeypatch.setattr(job_queries, "get_job", missing)
    response = client.get("/v1/jobs/job_1", headers=AUTHORIZED)
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "job_not_found"


@pytest.mark.parametrize("job_id", ["a%00b", "%F0%9F%92%A9", "x" * 101, "a%20b"])
def test_what_can_be_no_id_never_reaches_the_database(client: FlaskClient, job_id: str) -> None:
    assert client.get(f"/v1/jobs/{job_id}", headers=AUTHORIZED).status_code == 404


def test_page_names_its_ends(client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[JobFilter] = []

    def list_jobs(project_id: str, job_filter: JobFilter) -> JobPage:
        wanted.append(job_filter)
        return JobPage([make_job(id="job_2"), make_job(id="job_1")], has_more=True)

    monkeypatch.setattr(job_queries, "list_jobs", list_jobs)
    page = client.get("/v1/jobs?limit=2&metadata[a]=b", headers=AUTHORIZED).get_json()
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == (
        "list",
        "job_2",
        "job_1",
        True,
    )
    assert (wanted[0].limit, wanted[0].metadata) == (2, {"a": "b"})


@pytest.mark.parametrize("kind", get_args(JobType))
def test_a_job_of_every_kind_can_be_read(
    client: FlaskClient, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    serve_job(monkeypatch, make_job(type=kind))
    assert client.get("/v1/jobs/job_1", headers=AUTHORIZED).get_json()["type"] == kind


def test_empty_page_has_no_ends(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_queries, "list_jobs", lambda project_id, wanted: JobPage([], has_more=False))
    page = client.get("/v1/jobs", headers=AUTHORIZED).get_json()
    assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, False)


def test_cancelling_what_has_ended_is_a_409_not_to_be_retried(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(project_id: str, job_id: str) -> JobRecord:
        raise JobAlreadyEnded

    monkeypatch.setattr(cancellation, "cancel_job", ended)
    response = client.post("/v1/jobs/job_1/cancel", headers=AUTHORIZED)
    assert (response.status_code, response.headers["x-should-retry"]) == (409, "false")

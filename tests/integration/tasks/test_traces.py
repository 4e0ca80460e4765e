"""What a job, and a batch, tell of themselves in a trace, on a real Postgres."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import outbox, queue
from tasks.admission import Submission
from tasks.errors import BrokerUnavailable
from tasks.keys import Principal
from tasks.settings import settings
from tasks.tracing import context, publishing, recording
from tests.integration.tasks.batch_work import batch_worker, begin_batch, change, lines, one
from tests.integration.tasks.hand_worker import working
from tests.integration.tasks.publications import Publications
from tests.services.traces import Step, by_name, parent_id, read_steps, service, span_id, trace_id

Submit = Callable[..., Submission]

REQUEST = context.TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True, "vendor=one")


@pytest.fixture(autouse=True)
def traces(process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Tracing is on, and this thread serves a request that is traced."""
    monkeypatch.setenv("TOKENMILL_TRACES_FILE", str(tmp_path / "traces"))
    settings.cache_clear()
    recording.close()
    context.enter(REQUEST)
    yield tmp_path / "traces"
    context.enter(None)
    recording.close()


def steps(traces: Path) -> list[Step]:
    recording.close()
    return read_steps(traces)


def test_job_is_one_trace_from_its_admission_to_its_commit(submit_job: Submit, traces: Path) -> None:
    job_id = submit_job().job.id
    until_published(job_id)
    with working() as worker:
        generation = worker.take(job_id)
        generation.generate(1, 2)
        generation.end()
        for flight in worker.runner._flights.all():
            assert flight.landed.wait(10)
    found = by_name(steps(traces), REQUEST.trace_id)
    assert set(found) == {"admit", "publish", "queue", "job", "claim", "commit"}
    for name in ("admit", "publish", "queue", "job"):
        assert parent_id(found[name]) == REQUEST.span_id
        assert found[name]["attributes"]["tokenmill.job.id"] == job_id
    for name in ("claim", "commit"):
        assert parent_id(found[name]) == span_id(found["job"])
    assert [service(found[name]) for name in ("admit", "job")] == ["tokenmill-web", "tokenmill-worker"]
    attributes = found["job"]["attributes"]
    assert attributes["gen_ai.operation.name"] == "text_completion"
    assert attributes["gen_ai.request.model"] == "smollm2-135m-instruct"
    assert attributes["gen_ai.usage.output_tokens"] == 2
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert attributes["tokenmill.job.status"] == "completed"
    assert "Once upon" not in traces.read_text()
    assert "vendor" in found["job"]["context"]["trace_state"]


def test_job_that_is_handed_back_and_run_again_has_a_step_for_each_attempt(
    submit_job: Submit, traces: Path
) -> None:
    job_id = submit_job().job.id
    with working() as worker:
        worker.take(job_id)
    with working() as worker:
        worker.take(job_id).end()
    attempts = [step for step in steps(traces) if step["name"] == "job"]
    assert [step["attributes"]["tokenmill.job.attempt"] for step in attempts] == [1, 2]
    assert attempts[0]["attributes"]["tokenmill.job.status"] == "handed_back"


def test_relay_publishes_in_the_jobs_trace(
    submit_job: Submit, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "publish_soon", lambda job_id, model: None)
    job_id = submit_job().job.id
    change("UPDATE jobs SET created_at = now() - interval '1 hour' WHERE id = :job", job=job_id)
    assert outbox.relay() == 1
    found = by_name(steps(traces), REQUEST.trace_id)
    assert set(found) == {"admit", "publish"}
    assert service(found["publish"]) == "tokenmill-scheduler"
    assert parent_id(found["publish"]) == REQUEST.span_id


def test_publishing_that_fails_says_so(traces: Path) -> None:
    publishing.begin("job_1", "model")
    publishing.end(["job_1", "job_2"], BrokerUnavailable())
    publishing.end(["job_1"])
    (step,) = steps(traces)
    assert step["status"]["status_code"] == "ERROR"
    assert step["attributes"]["error.type"] == "BrokerUnavailable"


@pytest.mark.usefixtures("batch_storage")
def test_line_of_a_batch_has_a_trace_of_its_own_that_leads_to_its_batchs(
    principal: Principal, publications: Publications, traces: Path
) -> None:
    batch = begin_batch(principal, lines(2))
    with batch_worker(publications) as worker:
        worker.run_to_end(batch)
    found = steps(traces)
    (validation,) = [step for step in found if step["name"] == "validate"]
    assert (trace_id(validation), parent_id(validation)) == (REQUEST.trace_id, REQUEST.span_id)
    assert service(validation) == "tokenmill-scheduler"
    jobs = [step for step in found if step["name"] == "job"]
    assert len({trace_id(step) for step in jobs} - {REQUEST.trace_id}) == 2
    for step in jobs:
        assert parent_id(step) is None
        assert [link["context"]["trace_id"] for link in step["links"]] == [f"0x{REQUEST.trace_id}"]
        assert step["attributes"]["tokenmill.batch.id"] == batch.id


def test_row_of_a_job_that_is_not_traced_carries_nothing(submit_job: Submit, traces: Path) -> None:
    context.enter(None)
    job_id = submit_job().job.id
    query = "SELECT count(*) FROM jobs WHERE id = :job AND traceparent IS NULL AND tracestate IS NULL"
    assert one(query, job=job_id) == 1
    assert steps(traces) == []


def until_published(job_id: str) -> None:
    until = time.monotonic() + 10
    while one("SELECT published_at FROM jobs WHERE id = :job", job=job_id) is None:
        assert time.monotonic() < until
        time.sleep(0.02)

"""A batch's life, on a real Postgres, with an engine that does what the test says."""

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

import inference
from inference.request import OutcomeStatus
from tasks import batch_ending, batch_validation, feeder, keys, lost_jobs, projects
from tasks.batch import BatchStatus
from tasks.batch_results import finished_lines
from tasks.batches import cancel_batch, get_batch, list_batches, retry_batch
from tasks.errors import (
    BatchAlreadyEnded,
    BatchNotFound,
    BatchStillRunning,
    FileNotFound,
    InvalidRequest,
    JobNotFound,
)
from tasks.job_queries import JobFilter, get_job, list_jobs
from tasks.keys import Principal
from tests.integration.tasks.batch_work import (
    again,
    assert_settled,
    batch_worker,
    begin_batch,
    change,
    line,
    lines,
    one,
    put_batch,
)
from tests.integration.tasks.file_storage import use_storage
from tests.integration.tasks.publications import Publications
from tests.integration.tasks.scripted_engine import ScriptedGeneration

_GET = b'{"custom_id": "a", "method": "GET", "url": "/v1/completions", "body": {}}\n'
_NAMELESS = b'{"method": "POST", "url": "/v1/completions", "body": {}}\n'
_ANOTHER_MODEL = """
[models.other]
source = "packaged:smollm2-135m-instruct"
context_length = 8192
prices = { input_usd = 0.02, cached_input_usd = 0.01, output_usd = 0.08 }
"""

pytestmark = pytest.mark.usefixtures("batch_storage")


def test_every_line_is_answered_once_and_billed_at_the_batch_price(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(150))
    assert (batch.status, batch.total, batch.unfinished) == (BatchStatus.IN_PROGRESS, 150, 150)
    with batch_worker(publications) as worker:
        batch = worker.run_to_end(batch)
    assert (batch.status, batch.completed, batch.failed) == (BatchStatus.COMPLETED, 150, 0)
    assert batch.completed_at is not None
    assert batch.output_tokens == 450
    assert_settled(batch)
    output = list(finished_lines(batch, "output"))
    assert [line.position for line in output] == list(range(1, 151))
    assert sorted(line.line_number for line in output) == list(range(1, 151))
    assert all(line.result is not None and line.result.choices[0].text == " 11 12 13" for line in output)
    assert all(line.result is not None and line.result.job.service_tier == "batch" for line in output)
    assert list(finished_lines(batch, "error")) == []


def test_lines_are_read_on_from_any_position(principal: Principal, publications: Publications) -> None:
    batch = begin_batch(principal, lines(10))
    with batch_worker(publications) as worker:
        batch = worker.run_to_end(batch)
    rest = finished_lines(batch, "output", after_position=7)
    assert [line.position for line in rest] == [8, 9, 10]


def test_lines_are_no_jobs_of_their_own_to_their_project(principal: Principal) -> None:
    batch = begin_batch(principal, lines(2))
    assert list_jobs(principal.project_id, JobFilter()).items == []
    job_id = one("SELECT min(id) FROM jobs WHERE batch_id = :batch", batch=batch.id)
    with pytest.raises(JobNotFound):
        get_job(principal.project_id, job_id)


def test_one_malformed_line_among_many_refuses_the_batch_and_admits_nothing(principal: Principal) -> None:
    content = lines(100)
    content[41] = line(42, max_tokens=0)
    batch = begin_batch(principal, content)
    assert batch.status is BatchStatus.FAILED
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert [(error["line"], error["param"]) for error in batch.errors] == [(42, "body.max_tokens")]
    assert one("SELECT count(*) FROM jobs") == 0
    assert one("SELECT held_usd FROM spend") == 0


def test_one_malformed_line_among_many_is_left_out_where_that_is_wanted(
    principal: Principal, publications: Publications
) -> None:
    content = lines(100)
    content[41] = line(42, max_tokens=0)
    batch = begin_batch(principal, content, on_invalid_line="skip")
    assert (batch.total, batch.failed, batch.unfinished) == (100, 1, 99)
    with batch_worker(publications) as worker:
        batch = worker.run_to_end(batch)
    assert (batch.status, batch.completed, batch.failed) == (BatchStatus.COMPLETED, 99, 1)
    (invalid,) = finished_lines(batch, "error")
    assert (invalid.position, invalid.line_number, invalid.custom_id) == (1, 42, "line-42")
    assert invalid.error is not None
    assert invalid.error["param"] == "body.max_tokens"
    assert_settled(batch)


def test_batch_of_invalid_lines_alone_completes_with_all_of_them_failed(principal: Principal) -> None:
    batch = begin_batch(principal, lines(3, max_tokens=0), on_invalid_line="skip")
    assert batch_ending.end_due() == 1
    batch = again(batch)
    assert (batch.status, batch.total, batch.failed) == (BatchStatus.COMPLETED, 3, 3)
    assert [line.position for line in finished_lines(batch, "error")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "code", "param", "at"),
    [
        ([line(1), line(2, custom_id="line-1")], "duplicate_custom_id", "custom_id", 2),
        ([line(1, url="/v1/chat/completions")], "invalid_url", "url", 1),
        ([line(1), line(2, model="smollm2-135m")], "model_not_found", "body.model", 2),
        ([line(1, max_tokens=9000)], "context_length_exceeded", "body.max_tokens", 1),
        ([line(1, stream=True)], "unsupported_parameter", "body.stream", 1),
        ([line(1, expires_in_seconds=5)], "unsupported_parameter", "body.expires_in_seconds", 1),
        ([_GET], "invalid_value", "method", 1),
        ([_NAMELESS], "missing_required_parameter", "custom_id", 1),
    ],
)
def test_line_that_can_not_run_is_named_with_its_field(
    principal: Principal, content: list[bytes], code: str, param: str, at: int
) -> None:
    batch = begin_batch(principal, content)
    assert batch.status is BatchStatus.FAILED
    assert batch.errors is not None
    assert [(error["code"], error["param"], error["line"]) for error in batch.errors] == [(code, param, at)]


def test_lines_for_two_models_are_refused(
    principal: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tmp_path / "catalog.toml"
    packaged = Path(inference.__file__).with_name("catalog.toml")
    catalog.write_text(packaged.read_text() + _ANOTHER_MODEL)
    monkeypatch.setenv("TOKENMILL_CATALOG", str(catalog))
    use_storage(str(tmp_path), monkeypatch)
    batch = begin_batch(principal, [line(1), line(2, model="other")])
    assert batch.errors is not None
    assert [error["code"] for error in batch.errors] == ["mismatched_model"]


def test_only_the_first_thousand_faults_are_kept(principal: Principal) -> None:
    batch = begin_batch(principal, lines(1100, max_tokens=0))
    assert batch.errors is not None
    assert len(batch.errors) == batch_validation.MOST_ERRORS


def test_budget_that_does_not_cover_all_lines_admits_none(principal: Principal) -> None:
    change("UPDATE spend SET limit_usd = 0.000001")
    batch = begin_batch(principal, lines(20))
    assert batch.status is BatchStatus.FAILED
    assert batch.errors is not None
    assert batch.errors[0]["code"] == "insufficient_quota"
    assert one("SELECT count(*) FROM jobs") == 0
    assert one("SELECT held_usd FROM spend") == 0


def test_batch_that_may_cost_more_than_its_limit_is_refused(principal: Principal) -> None:
    batch = begin_batch(principal, lines(20), max_cost_usd=Decimal("0.000000001"))
    assert batch.status is BatchStatus.FAILED
    assert batch.errors is not None
    assert batch.errors[0]["code"] == "max_cost_exceeded"


def test_batch_cancelled_during_validation_admits_nothing(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = put_batch(principal, lines(3))
    check = batch_validation._check_limits

    def cancelled_meanwhile(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        cancel_batch(principal.project_id, batch.id)

    monkeypatch.setattr(batch_validation, "_check_limits", cancelled_meanwhile)
    batch_validation.validate_waiting()
    assert again(batch).status is BatchStatus.CANCELLING
    batch_ending.end_due()
    assert again(batch).status is BatchStatus.CANCELLED
    assert one("SELECT count(*) FROM jobs") == 0
    assert one("SELECT held_usd FROM spend") == 0


def test_cancel_during_the_run_bills_what_was_answered_and_nothing_else(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(200))

    def two_answers(generation: ScriptedGeneration) -> None:
        generation.generate(11)
        if generation.request.request_id.partition("/")[0] in answered:
            generation.end()

    id_of_line = "SELECT id FROM jobs WHERE batch_id = :batch AND line_number = :number"
    answered = {one(id_of_line, batch=batch.id, number=number) for number in (1, 2)}
    with batch_worker(publications, two_answers) as worker:
        assert worker.take_all() == 128
        _wait_until(lambda: again(batch).completed == 2)
        cancel_batch(principal.project_id, batch.id)
        assert cancel_batch(principal.project_id, batch.id).status is BatchStatus.CANCELLING
        batch = worker.run_to_end(batch)
    assert (batch.status, batch.completed, batch.failed) == (BatchStatus.CANCELLED, 2, 0)
    assert batch.cancelled_at is not None
    assert batch.output_tokens == 2
    assert_settled(batch)
    assert len(list(finished_lines(batch, "output"))) == 2
    errors = list(finished_lines(batch, "error"))
    assert len(errors) == 198
    assert {line.code for line in errors} == {"batch_cancelled"}
    assert cancel_batch(principal.project_id, batch.id).status is BatchStatus.CANCELLED


def test_batch_that_has_completed_can_not_be_cancelled(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(1))
    with batch_worker(publications) as worker:
        worker.run_to_end(batch)
    with pytest.raises(BatchAlreadyEnded):
        cancel_batch(principal.project_id, batch.id)


def test_lines_unfinished_when_the_batch_expires_are_told_so_and_not_billed(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(70))

    def first_half(generation: ScriptedGeneration) -> None:
        generation.generate(11)
        generation.end(OutcomeStatus.COMPLETED if next(turns) % 2 else OutcomeStatus.EXPIRED)

    turns = iter(range(1000))
    with batch_worker(publications, first_half) as worker:
        feeder.feed()
        worker.runner.run_slice(publications.take()[0][0])
        worker.land()
        change("UPDATE jobs SET expires_at = now()")
        change("UPDATE batches SET expires_at = now()")
        lost_jobs.expire()
        batch = worker.run_to_end(batch)
    assert (batch.status, batch.completed) == (BatchStatus.EXPIRED, 32)
    assert batch.expired_at is not None
    assert batch.output_tokens == 32
    assert {line.code for line in finished_lines(batch, "error")} == {"batch_expired"}
    assert_settled(batch)


def test_first_failed_line_stops_a_batch_that_wants_to_be_stopped(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(300), on_error="stop")
    with batch_worker(publications, _fail_number(7)) as worker:
        batch = worker.run_to_end(batch)
    assert batch.status is BatchStatus.FAILED
    assert batch.failed_at is not None
    assert batch.failed == 1
    assert batch.errors is not None
    assert batch.errors[0]["code"] == "line_failed"
    assert 0 < batch.completed < 299
    assert len(list(finished_lines(batch, "output"))) == batch.completed
    assert_settled(batch)


def test_failed_line_is_in_the_error_file_and_unbilled(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(10))
    with batch_worker(publications, _fail_number(7)) as worker:
        batch = worker.run_to_end(batch)
    assert (batch.status, batch.completed, batch.failed) == (BatchStatus.COMPLETED, 9, 1)
    (failed,) = finished_lines(batch, "error")
    assert failed.code == "engine_error"
    assert failed.result is not None
    assert failed.result.job.cost_usd == 0
    assert_settled(batch)


def test_retry_runs_the_unanswered_lines_as_a_new_batch(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(10))
    with pytest.raises(BatchStillRunning):
        retry_batch(principal, batch.id)
    with batch_worker(publications, _fail_number(2)) as worker:
        worker.run_to_end(batch)
    retried = retry_batch(principal, batch.id)
    assert retried.retry_of == batch.id
    batch_validation.validate_waiting()
    with batch_worker(publications) as worker:
        retried = worker.run_to_end(retried)
    assert (retried.total, retried.completed) == (1, 1)
    assert_settled(retried)


def test_retry_of_a_batch_without_unanswered_lines_says_that_there_is_none(
    principal: Principal, publications: Publications
) -> None:
    batch = begin_batch(principal, lines(1))
    with batch_worker(publications) as worker:
        worker.run_to_end(batch)
    retried = retry_batch(principal, batch.id)
    batch_validation.validate_waiting()
    errors = again(retried).errors
    assert errors is not None
    assert errors[0]["code"] == "empty_file"


def test_validating_twice_at_once_admits_once(principal: Principal) -> None:
    batch = put_batch(principal, lines(3))
    with batch_validation._lock_of(batch.id) as ours:
        assert ours
        assert batch_validation.validate_waiting() == 0
    assert again(batch).status is BatchStatus.VALIDATING
    assert batch_validation.validate_waiting() == 1
    assert batch_validation.validate_waiting() == 0
    assert one("SELECT count(*) FROM jobs") == 3


def test_validation_that_breaks_for_no_known_reason_fails_its_batch_alone(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = put_batch(principal, lines(1))
    sound = put_batch(principal, lines(1))
    fill = batch_validation._fill

    def break_on_first(spool: object, batch: object) -> None:
        if batch.id == broken.id:  # type: ignore[attr-defined]
            raise RuntimeError
        fill(spool, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(batch_validation, "_fill", break_on_first)
    assert batch_validation.validate_waiting() == 2
    assert again(broken).status is BatchStatus.FAILED
    assert again(sound).status is BatchStatus.IN_PROGRESS


def test_batches_are_listed_newest_first_and_paged(principal: Principal) -> None:
    ids = [put_batch(principal, lines(1)).id for _ in range(3)][::-1]
    first = list_batches(principal.project_id, limit=2)
    assert [batch.id for batch in first.items] == ids[:2]
    assert first.has_more
    rest = list_batches(principal.project_id, after=ids[1])
    assert [batch.id for batch in rest.items] == ids[2:]
    with pytest.raises(InvalidRequest):
        list_batches(principal.project_id, after="batch_unknown")


def test_batch_of_another_project_is_not_there(principal: Principal) -> None:
    batch = put_batch(principal, lines(1))
    project = projects.create_project("other")
    other = keys.authenticate(keys.create_key(project.id, "other").secret)
    calls: list[Callable[[], object]] = [
        lambda: get_batch(other.project_id, batch.id),
        lambda: cancel_batch(other.project_id, batch.id),
        lambda: retry_batch(other, batch.id),
    ]
    for call in calls:
        with pytest.raises(BatchNotFound):
            call()
    with pytest.raises(FileNotFound):
        put_batch(other, lines(1), input_file_id=batch.input_file_id)


def _wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def _fail_number(number: int) -> Callable[[ScriptedGeneration], None]:
    """An engine that fails on what it is given as such."""
    count = iter(range(1, 10_000))

    def run(generation: ScriptedGeneration) -> None:
        generation.generate(11)
        generation.end(OutcomeStatus.FAILED if next(count) == number else OutcomeStatus.COMPLETED)

    return run

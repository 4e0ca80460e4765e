"""Jobs of several prompts and outputs around a scripted engine, on a real Postgres."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import select

from inference.embedding_request import EmbeddingListener, EmbeddingOutcome, EmbeddingRequest
from inference.errors import InvalidGeneration
from inference.request import OutcomeStatus, SamplingParams, Usage
from tasks import deletion, job_queries, job_results
from tasks.admission import submit
from tasks.db import transaction
from tasks.errors import JobNotFound
from tasks.job_queries import JobFilter
from tasks.keys import Principal
from tasks.models import Job, JobStatus
from tasks.plan import Endpoint, JobPlan
from tasks.result import Choice, JobResult
from tasks.runner import JobEngine, JobRunner
from tasks.settings import settings
from tasks.text_engine import TextEngine
from tasks.vector_engine import VectorEngine
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.plans import make_plan
from tests.integration.tasks.scripted_engine import ScriptedEngine
from tests.integration.tasks.test_runner import in_thread, until

PARAMS = SamplingParams(max_tokens=8)


@pytest.fixture(autouse=True)
def quick_rounds(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_CHECKPOINT_INTERVAL_SECONDS", "0.05")
    monkeypatch.setenv("TOKENMILL_RENEW_INTERVAL_SECONDS", "0.1")
    settings.cache_clear()


@contextmanager
def running(engine: JobEngine) -> Iterator[JobRunner]:
    runner = JobRunner(engine, WorkerIdentity(model="any", quantization="fp32", slots=4))
    runner.start()
    try:
        yield runner
    finally:
        runner.drain(0)
        runner.close()


def admit(principal: Principal, plan: JobPlan) -> str:
    return submit(principal, plan, idempotency_key=None, request_id=None).job.id


def submitted(engine: ScriptedEngine, count: int) -> None:
    for _ in range(count):
        assert engine.submitted.acquire(timeout=10)


def test_every_prompt_has_n_outputs_and_is_billed_once(principal: Principal) -> None:
    engine = ScriptedEngine()
    job_id = admit(principal, make_plan(prompts=((1, 2), (3,)), n=2))
    with running(TextEngine(engine)) as runner:
        thread = in_thread(runner, job_id)
        submitted(engine, 4)
        for place, generation in enumerate(engine.generations):
            generation.generate(10 + place)
            generation.end()
        thread.join(10)
    result = job_results.get_result(principal.project_id, job_id)
    assert [choice.text for choice in result.choices] == [" 10", " 11", " 12", " 13"]
    assert result.prompts == ((1, 2), (3,))
    assert (result.job.billed_prompt_tokens, result.job.completion_tokens) == (3, 4)


def test_outputs_go_on_from_their_own_checkpoints(principal: Principal) -> None:
    engine = ScriptedEngine()
    job_id = admit(principal, make_plan(n=2))
    with running(TextEngine(engine)) as runner:
        thread = in_thread(runner, job_id)
        submitted(engine, 2)
        engine.generations[0].generate(4, 5)
        engine.generations[1].generate(6)
        until(lambda: [c.token_ids for c in choices(principal, job_id)] == [(4, 5), (6,)])
    thread.join(10)
    with running(TextEngine(engine)) as runner:
        thread = in_thread(runner, job_id)
        submitted(engine, 2)
        resumed = [generation.request.generated_token_ids for generation in engine.generations[2:]]
        for generation in engine.generations[2:]:
            generation.end()
        thread.join(10)
    assert resumed == [(4, 5), (6,)]
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.completion_tokens) == (JobStatus.COMPLETED, 3)


def test_outputs_not_chosen_are_billed_and_forgotten(principal: Principal) -> None:
    engine = ScriptedEngine()
    job_id = admit(principal, make_plan(n=1, best_of=3))
    with running(TextEngine(engine)) as runner:
        thread = in_thread(runner, job_id)
        submitted(engine, 3)
        for generation in engine.generations:
            generation.generate(1, 2)
            generation.end()
        thread.join(10)
    result = job_results.get_result(principal.project_id, job_id)
    assert len(result.choices) == 1
    assert result.job.completion_tokens == 6


def test_prompt_the_engine_refuses_ends_the_job_and_frees_the_others(principal: Principal) -> None:
    def refuse_second(generation: object) -> None:
        if len(engine.generations) == 2:
            raise InvalidGeneration("no")

    engine = ScriptedEngine(refuse_second)
    job_id = admit(principal, make_plan(prompts=((1,), (2,))))
    with running(TextEngine(engine)) as runner:
        runner.run(job_id)
    job = job_queries.get_job(principal.project_id, job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "invalid_generation")
    assert engine.generations[0].wait(0) is not None


def choices(principal: Principal, job_id: str) -> tuple[Choice, ...]:
    return job_results.get_result(principal.project_id, job_id).choices


class ScriptedEncoder:
    """Gives every input the same vector, at once."""

    def __init__(self, status: OutcomeStatus = OutcomeStatus.COMPLETED) -> None:
        self._status = status
        self.requests: list[EmbeddingRequest] = []

    def submit(self, request: EmbeddingRequest, listener: EmbeddingListener | None = None) -> threading.Timer:
        assert listener is not None
        self.requests.append(request)
        done = self._status is OutcomeStatus.COMPLETED
        vectors = np.full((len(request.inputs), 2), 0.5, np.float32) if done else None
        usage = Usage(request.tokens if done else 0, 0, 0)
        timer = threading.Timer(0, listener, [EmbeddingOutcome(self._status, usage, vectors)])
        timer.start()
        return timer


def embed(principal: Principal, encoder: ScriptedEncoder) -> JobResult:
    plan = make_plan(
        model="all-minilm-l6-v2",
        endpoint=Endpoint.EMBEDDINGS,
        prompts=((1, 2), (3,)),
        params=SamplingParams(max_tokens=0),
        request={"dimensions": 2},
    )
    job_id = admit(principal, plan)
    with running(VectorEngine(encoder)) as runner:
        runner.run(job_id)
    return job_results.get_result(principal.project_id, job_id)


def test_vectors_are_kept_to_the_bit_and_billed_by_input_tokens(principal: Principal) -> None:
    encoder = ScriptedEncoder()
    result = embed(principal, encoder)
    assert encoder.requests[0].inputs == ((1, 2), (3,))
    assert encoder.requests[0].dimensions == 2
    assert result.vectors is not None
    np.testing.assert_array_equal(result.vectors, np.full((2, 2), 0.5, np.float32))
    assert (result.job.billed_prompt_tokens, result.job.completion_tokens) == (3, 0)
    assert result.job.cost_usd == 3 * result_price() / 1_000_000


def result_price() -> Decimal:
    with transaction() as connection:
        return connection.execute(select(Job.price_input_usd)).scalar_one()


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (OutcomeStatus.FAILED, JobStatus.FAILED),
        (OutcomeStatus.CANCELLED, JobStatus.CANCELLED),
        (OutcomeStatus.EXPIRED, JobStatus.EXPIRED),
    ],
)
def test_embedding_that_does_not_complete_is_not_billed(
    principal: Principal, outcome: OutcomeStatus, status: JobStatus
) -> None:
    result = embed(principal, ScriptedEncoder(outcome))
    assert (result.job.status, result.job.cost_usd, result.vectors) == (status, 0, None)


def test_deleted_job_is_gone_at_once_and_its_words_a_little_later(principal: Principal) -> None:
    engine = ScriptedEngine(lambda generation: generation.end(text="secret"))
    job_id = admit(principal, make_plan(request={"prompt": "secret"}))
    with running(TextEngine(engine)) as runner:
        runner.run(job_id)
    deletion.delete_job(principal.project_id, job_id)
    with pytest.raises(JobNotFound):
        job_results.get_result(principal.project_id, job_id)
    with pytest.raises(JobNotFound):
        deletion.delete_job(principal.project_id, job_id)
    assert job_queries.list_jobs(principal.project_id, JobFilter()).items == []
    assert deletion.erase_deleted() == 1
    assert deletion.erase_deleted() == 0
    with transaction() as connection:
        row = connection.execute(Job.__table__.select().where(Job.id == job_id)).mappings().one()
    assert (row["request"], row["prompt_token_ids"], row["output_text"]) == ({}, [], None)
    assert row["cost_usd"] > 0


def test_deleting_a_queued_job_cancels_it(principal: Principal) -> None:
    job_id = admit(principal, make_plan())
    deletion.delete_job(principal.project_id, job_id)
    with transaction() as connection:
        status = connection.execute(Job.__table__.select()).mappings().one()["status"]
    assert status == "cancelled"

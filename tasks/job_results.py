"""Reading jobs with their requests and outputs, always within one project (I6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, RowMapping, select

from tasks import job_queries, stored_choices
from tasks.db import transaction
from tasks.job import JobRecord
from tasks.job_queries import JobFilter
from tasks.models import Checkpoint, Job, JobStatus
from tasks.result import Choice, JobResult
from tasks.sampling import Sampling, read_sampling

_COLUMNS = (
    Job.id,
    Job.request,
    Job.sampling,
    Job.prompt_token_ids,
    Job.prompt_lengths,
    Job.seed,
    Job.output_token_ids,
    Job.choices,
    Job.vectors,
    Checkpoint.token_ids.label("saved_token_ids"),
    Checkpoint.text.label("saved_text"),
    Checkpoint.choices.label("saved_choices"),
)


@dataclass(frozen=True, slots=True)
class ResultPage:
    items: list[JobResult]
    has_more: bool


def get_result(project_id: str, job_id: str) -> JobResult:
    """Raises JobNotFound, also for another project's job."""
    with transaction() as connection:
        job = job_queries.read_job(connection, project_id, job_id)
        return _results(connection, [job])[0]


def list_results(project_id: str, wanted: JobFilter) -> ResultPage:
    """A page of a project's jobs with their outputs. Raises InvalidRequest for a cursor that names no job."""
    page = job_queries.list_jobs(project_id, wanted)
    with transaction() as connection:
        return ResultPage(_results(connection, page.items), page.has_more)


def results_of_lines(connection: Connection, job_ids: Sequence[str]) -> dict[str, JobResult]:
    """Lines of batches by their ids, for those who know that they may know them."""
    return {result.job.id: result for result in _results(connection, job_queries.lines(connection, job_ids))}


def prompts_of(token_ids: Sequence[int], lengths: Sequence[int] | None) -> tuple[tuple[int, ...], ...]:
    """The prompts of a row, where they stand one after the other."""
    if lengths is None:
        return (tuple(token_ids),)
    return tuple(tuple(token_ids[start:end]) for start, end in pairwise(accumulate(lengths, initial=0)))


def _results(connection: Connection, jobs: Sequence[JobRecord]) -> list[JobResult]:
    query = select(*_COLUMNS).outerjoin(Checkpoint, Checkpoint.job_id == Job.id)
    rows = connection.execute(query.where(Job.id.in_([job.id for job in jobs]))).mappings()
    by_id = {row["id"]: row for row in rows}
    return [_result(job, by_id[job.id]) for job in jobs if job.id in by_id]


def _result(job: JobRecord, row: RowMapping) -> JobResult:
    sampling = read_sampling(row["sampling"], row["request"], max_tokens=job.max_tokens, seed=row["seed"])
    prompts = prompts_of(row["prompt_token_ids"], row["prompt_lengths"])
    return JobResult(
        job=job,
        request=row["request"],
        params=sampling.params,
        n=sampling.n,
        best_of=sampling.best_of,
        prompts=prompts,
        choices=_choices(job, row, sampling, len(prompts)),
        vectors=_vectors(row["vectors"], len(prompts)),
    )


def _choices(job: JobRecord, row: RowMapping, sampling: Sampling, prompts: int) -> tuple[Choice, ...]:
    if job.type == "embedding":
        return ()
    running = job.status is JobStatus.IN_PROGRESS or job.status is JobStatus.QUEUED
    several: list[dict[str, Any]] | None = row["saved_choices"] if running else row["choices"]
    if several is not None:
        return stored_choices.from_json(several)
    token_ids, text = (
        (row["saved_token_ids"], row["saved_text"]) if running else (row["output_token_ids"], job.output_text)
    )
    missing = (Choice(text="", token_ids=()),) * (prompts * sampling.n - 1)
    first = Choice(text=text or "", token_ids=tuple(token_ids or ()), finish_reason=job.finish_reason)
    return (first, *missing)


def _vectors(stored: bytes | None, inputs: int) -> NDArray[np.float32] | None:
    if stored is None:
        return None
    return np.frombuffer(stored, dtype="<f4").astype(np.float32, copy=False).reshape(inputs, -1)

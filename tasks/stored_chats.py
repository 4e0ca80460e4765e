"""Chats that their owner asked to keep, by the ids that the API gives them."""

from dataclasses import replace

from tasks.deletion import delete_job
from tasks.errors import InvalidRequest, JobNotFound
from tasks.ids import CHAT_COMPLETION_PREFIX, job_id_of
from tasks.job_queries import JobFilter
from tasks.job_results import ResultPage, get_result, list_results
from tasks.metadata import set_metadata
from tasks.models import JobStatus
from tasks.plan import Endpoint
from tasks.result import JobResult


def get_chat(project_id: str, chat_id: str) -> JobResult:
    """A stored chat that has an answer. Raises JobNotFound."""
    job_id = job_id_of(chat_id, CHAT_COMPLETION_PREFIX)
    if job_id is None:
        raise _missing(chat_id)
    try:
        result = get_result(project_id, job_id)
    except JobNotFound:
        raise _missing(chat_id) from None
    job = result.job
    answered = job.status is JobStatus.COMPLETED or (job.status.ended and job.completion_tokens)
    if job.endpoint != Endpoint.CHAT_COMPLETIONS or not job.stored or not answered:
        raise _missing(chat_id)
    return result


def list_chats(project_id: str, wanted: JobFilter) -> ResultPage:
    """A page of the completed ones; ``after`` is a chat's id. Raises InvalidRequest."""
    after = wanted.after
    if after is not None:
        after = job_id_of(after, CHAT_COMPLETION_PREFIX)
        if after is None:
            raise InvalidRequest(f"after names no chat completion: {wanted.after!r}.", param="after")
    stored = replace(
        wanted, after=after, endpoint=Endpoint.CHAT_COMPLETIONS, stored=True, status=JobStatus.COMPLETED
    )
    return list_results(project_id, stored)


def set_chat_metadata(project_id: str, chat_id: str, metadata: dict[str, str]) -> JobResult:
    """Raises JobNotFound."""
    set_metadata(project_id, get_chat(project_id, chat_id).job.id, metadata)
    return get_chat(project_id, chat_id)


def delete_chat(project_id: str, chat_id: str) -> None:
    """Raises JobNotFound."""
    delete_job(project_id, get_chat(project_id, chat_id).job.id)


def _missing(chat_id: str) -> JobNotFound:
    return JobNotFound(
        f"There is no stored chat completion {chat_id!r}.", param="completion_id", code="completion_not_found"
    )

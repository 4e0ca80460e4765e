"""The endpoints to those who do not care which it is: what a body asks for, and what it is answered."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tasks import responses
from tasks.plan import Endpoint, JobPlan
from tasks.response_turns import reader_of
from tasks.result import JobResult
from tasks.wire.chat_completions import chat_body, chat_plan
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tasks.wire.completion_request import COMPLETION_REQUEST
from tasks.wire.completions import completion_body, completion_plan
from tasks.wire.embeddings import EMBEDDING_REQUEST, embedding_body, embedding_plan
from tasks.wire.faults import invalid_request
from tasks.wire.job import JOB_REQUEST, job_body
from tasks.wire.job_plan import job_plan
from tasks.wire.response_body import ResponseBody, response_body
from tasks.wire.responses import RESPONSE_REQUEST


class AnyBody(BaseModel):
    """What an endpoint answers; which one is told by `object`."""

    model_config = ConfigDict(extra="allow")

    object: str


Planner = Callable[[str, Any], JobPlan]

_REQUESTS: dict[Endpoint, TypeAdapter[Any]] = {
    Endpoint.JOBS: JOB_REQUEST,
    Endpoint.CHAT_COMPLETIONS: CHAT_COMPLETION_REQUEST,
    Endpoint.COMPLETIONS: COMPLETION_REQUEST,
    Endpoint.RESPONSES: RESPONSE_REQUEST,
    Endpoint.EMBEDDINGS: EMBEDDING_REQUEST,
}
_PLANNERS: dict[Endpoint, Planner] = {
    Endpoint.JOBS: lambda _, request: job_plan(request),
    Endpoint.CHAT_COMPLETIONS: lambda _, request: chat_plan(request),
    Endpoint.COMPLETIONS: lambda _, request: completion_plan(request),
    Endpoint.RESPONSES: responses.plan,
    Endpoint.EMBEDDINGS: lambda _, request: embedding_plan(request),
}


def plan_of(endpoint: Endpoint, project_id: str, body: dict[str, Any]) -> JobPlan:
    """What a body sent to an endpoint asks for. Raises InvalidRequest, and what its planner raises."""
    try:
        request = _REQUESTS[endpoint].validate_python(body)
    except ValidationError as error:
        raise invalid_request(error, body) from None
    return _PLANNERS[endpoint](project_id, request)


def body_of(result: JobResult) -> BaseModel:
    """What the job's endpoint answers, of a job that has ended with something to show."""
    return _BODIES[Endpoint(result.job.endpoint)](result)


def _response_body(result: JobResult) -> ResponseBody:
    return response_body(result, reader_of(result.job.model, result.request))


_BODIES: dict[Endpoint, Callable[[JobResult], BaseModel]] = {
    Endpoint.JOBS: lambda result: job_body(result.job),
    Endpoint.CHAT_COMPLETIONS: chat_body,
    Endpoint.COMPLETIONS: completion_body,
    Endpoint.RESPONSES: _response_body,
    Endpoint.EMBEDDINGS: embedding_body,
}

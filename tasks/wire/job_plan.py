"""From a body of the jobs API to a plan."""

from inference.catalog import ModelSpec
from inference.errors import InvalidPrompt
from inference.request import SamplingParams
from tasks.errors import InvalidRequest
from tasks.plan import Endpoint, JobPlan
from tasks.planning import find_model, renderer_of, room_for
from tasks.wire.job import ChatJobRequest, JobRequest


def job_plan(request: JobRequest) -> JobPlan:
    """Raises UnknownModelRequested, ModelNotSupported, InvalidRequest, ContextLengthExceeded."""
    spec = find_model(request.model)
    token_ids = _tokenize(request, spec)
    max_tokens = room_for(
        spec, len(token_ids), request.max_tokens, param=_prompt_field(request), asked_param="max_tokens"
    )
    params = SamplingParams(
        max_tokens=max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=request.stop_strings,
    )
    return JobPlan(
        endpoint=Endpoint.JOBS,
        type=request.type,
        spec=spec,
        request=request.model_dump(mode="json", exclude={"metadata"}, exclude_unset=True),
        prompts=(tuple(token_ids),),
        params=params,
        seed=request.seed,
        metadata=request.metadata,
        expires_in_seconds=request.expires_in_seconds,
        stored=True,
    )


def _tokenize(request: JobRequest, spec: ModelSpec) -> list[int]:
    renderer = renderer_of(spec)
    try:
        if isinstance(request, ChatJobRequest):
            return renderer.chat([message.model_dump() for message in request.messages])
        return renderer.completion(request.prompt)
    except InvalidPrompt as error:
        raise InvalidRequest(str(error), param=_prompt_field(request)) from error


def _prompt_field(request: JobRequest) -> str:
    return "messages" if isinstance(request, ChatJobRequest) else "prompt"

"""`/v1/completions`: from a request to a job, and from the job to the answer."""

from inference.errors import InvalidPrompt
from inference.prompts import PromptRenderer
from tasks.ids import COMPLETION_PREFIX, shown_as
from tasks.plan import Endpoint, JobPlan
from tasks.planning import find_model, longest, renderer_of, room_for
from tasks.result import Choice, JobResult
from tasks.wire.completion_body import CompletionBody, CompletionChoice
from tasks.wire.completion_request import COMPLETION_REQUEST, CompletionRequest, check_company
from tasks.wire.inputs import Input, check_token_ids, inputs_of, refused_input
from tasks.wire.logprobs import CompletionLogprobs, CompletionScores, joined
from tasks.wire.sampling import sampling_params
from tasks.wire.usage import completion_usage

DEFAULT_MAX_TOKENS = 16


def completion_plan(request: CompletionRequest) -> JobPlan:
    """Raises UnknownModelRequested, ModelNotSupported, InvalidRequest, ContextLengthExceeded."""
    check_company(request)
    spec = find_model(request.model)
    renderer = renderer_of(spec)
    prompts = tuple(_tokenize(one, param, renderer) for param, one in inputs_of(request.prompt, "prompt"))
    max_tokens = room_for(
        spec, longest(prompts), request.max_tokens, param="prompt", asked_param="max_tokens"
    )
    if request.max_tokens is None:
        max_tokens = min(max_tokens, DEFAULT_MAX_TOKENS)
    params = sampling_params(
        request,
        renderer,
        max_tokens=max_tokens,
        logprobs=request.logprobs,
        prompt_logprobs=_prompt_logprobs(request),
    )
    return JobPlan(
        endpoint=Endpoint.COMPLETIONS,
        type="completion",
        spec=spec,
        request=request.model_dump(mode="json", exclude={"metadata"}, exclude_unset=True),
        prompts=prompts,
        params=params,
        n=request.n or 1,
        best_of=request.generated_per_prompt,
        seed=request.seed,
        service_tier=request.tier,
        metadata=request.metadata or {},
        expires_in_seconds=request.expires_in_seconds,
    )


def completion_body(result: JobResult) -> CompletionBody:
    """The answer of a job that has ended and has something to show."""
    job = result.job
    request = COMPLETION_REQUEST.validate_python(result.request)
    renderer = renderer_of(find_model(job.model))
    echoes = prompt_texts(request, renderer) if request.echo else [""] * len(result.prompts)
    return CompletionBody(
        id=shown_as(job.id, COMPLETION_PREFIX),
        created=int(job.created_at.timestamp()),
        model=job.model,
        choices=[
            CompletionChoice(
                index=index,
                text=echoes[index // result.n] + choice.text,
                logprobs=_logprobs(request, renderer, result.prompts[index // result.n], choice),
                finish_reason=choice.finish_reason or "length",
            )
            for index, choice in enumerate(result.choices)
        ],
        usage=completion_usage(job),
        service_tier=job.service_tier,
        system_fingerprint=job.system_fingerprint,
        metadata=job.metadata,
    )


def prompt_texts(request: CompletionRequest, renderer: PromptRenderer) -> list[str]:
    """The prompts as they were written; those that came as tokens, as what the tokens stand for."""
    inputs = inputs_of(request.prompt, "prompt")
    return [one if isinstance(one, str) else renderer.decode(one) for _, one in inputs]


def _tokenize(one: Input, param: str, renderer: PromptRenderer) -> tuple[int, ...]:
    if not isinstance(one, str):
        check_token_ids(one, len(renderer.token_bytes), param)
        return tuple(one)
    try:
        return tuple(renderer.completion(one))
    except InvalidPrompt as error:
        raise refused_input(error, param) from error


def _prompt_logprobs(request: CompletionRequest) -> int | None:
    """A prompt that is only echoed goes through the model as one that is scored."""
    if not request.echo:
        return None
    return 0 if request.logprobs is None and request.max_tokens == 0 else request.logprobs


def _logprobs(
    request: CompletionRequest, renderer: PromptRenderer, prompt: tuple[int, ...], choice: Choice
) -> CompletionLogprobs | None:
    if request.logprobs is None:
        return None
    scores = CompletionScores(renderer)
    echoed = [scores.prompt(prompt, choice.prompt_logprobs)] if request.echo else []
    return joined([*echoed, scores.output(choice.logprobs)])

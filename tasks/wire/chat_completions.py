"""`/v1/chat/completions`: from a request to a job, and from the job to the answer."""

from inference.errors import InvalidGeneration, InvalidPrompt
from inference.output_grammar import output_grammar
from inference.output_parser import ParsedCall, ParsedOutput, parse_output
from inference.prompts import PromptRenderer
from inference.request import Grammar
from inference.tools import ToolUse
from tasks.errors import InvalidRequest
from tasks.ids import CHAT_COMPLETION_PREFIX, shown_as
from tasks.plan import Endpoint, JobPlan
from tasks.planning import checked, find_model, renderer_of, room_for
from tasks.result import Choice, JobResult
from tasks.wire.chat_body import (
    ChatChoice,
    ChatCompletionBody,
    ChatMessageBody,
    FinishReason,
    FunctionCallBody,
    ToolCallBody,
)
from tasks.wire.chat_messages import neutral_messages
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST, ChatCompletionRequest, check_company
from tasks.wire.chat_tools import tool_use
from tasks.wire.logprobs import ChatLogprobs, chat_logprobs
from tasks.wire.response_format import format_grammar
from tasks.wire.sampling import sampling_params
from tasks.wire.usage import completion_usage


def chat_plan(request: ChatCompletionRequest) -> JobPlan:
    """Raises UnknownModelRequested, ModelNotSupported, InvalidRequest, ContextLengthExceeded."""
    check_company(request)
    tools = tool_use(request)
    spec = find_model(request.model)
    renderer = renderer_of(spec)
    prompt = _tokenize(request, renderer, tools)
    asked, asked_param = request.asked_tokens
    max_tokens = room_for(spec, len(prompt), asked, param="messages", asked_param=asked_param)
    params = sampling_params(
        request,
        renderer,
        max_tokens=max_tokens,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        grammar=_grammar(request, renderer, tools),
    )
    return JobPlan(
        endpoint=Endpoint.CHAT_COMPLETIONS,
        type="chat",
        spec=spec,
        request=request.model_dump(mode="json", by_alias=True, exclude={"metadata"}, exclude_unset=True),
        prompts=(tuple(prompt),),
        params=params,
        n=request.n or 1,
        best_of=request.n or 1,
        seed=request.seed,
        service_tier=request.tier,
        metadata=request.metadata or {},
        expires_in_seconds=request.expires_in_seconds,
        stored=bool(request.store),
    )


def chat_body(result: JobResult) -> ChatCompletionBody:
    """The answer of a job that has ended and has something to show."""
    job = result.job
    answers = Answers(result)
    return ChatCompletionBody(
        id=shown_as(job.id, CHAT_COMPLETION_PREFIX),
        created=int(job.created_at.timestamp()),
        model=job.model,
        choices=[answers.choice(index, choice) for index, choice in enumerate(result.choices)],
        usage=completion_usage(job),
        service_tier=job.service_tier,
        system_fingerprint=job.system_fingerprint,
        metadata=job.metadata,
    )


def call_id(job_id: str, choice: int, index: int) -> str:
    """The same whenever a call is shown."""
    return f"{shown_as(job_id, 'call_')}_{choice}_{index}"


def finish_reason(choice: Choice, *, calls: bool, older: bool) -> FinishReason:
    """What was cut short is as long as it got."""
    if choice.finish_reason != "stop":
        return "length"
    if not calls:
        return "stop"
    return "function_call" if older else "tool_calls"


class Answers:
    """Makes the answers of one result."""

    def __init__(self, result: JobResult) -> None:
        request = CHAT_COMPLETION_REQUEST.validate_python(result.request)
        self._job_id = result.job.id
        self._renderer = renderer_of(find_model(result.job.model))
        self._tools = tool_use(request)
        self._older = request.functions is not None
        self._logprobs = bool(request.logprobs)

    def choice(self, index: int, choice: Choice) -> ChatChoice:
        parsed = ParsedOutput(choice.text)
        if self._tools is not None:
            parsed = parse_output(self._renderer.tool_format, self._tools, choice.text)
        return ChatChoice(
            index=index,
            message=self._message(index, parsed),
            logprobs=self._scored(choice) if self._logprobs else None,
            finish_reason=finish_reason(choice, calls=bool(parsed.calls), older=self._older),
        )

    def _scored(self, choice: Choice) -> ChatLogprobs:
        return chat_logprobs(choice.logprobs, choice.text, self._renderer)

    def _message(self, index: int, parsed: ParsedOutput) -> ChatMessageBody:
        if not parsed.calls:
            return ChatMessageBody(content=parsed.content)
        if self._older:
            return ChatMessageBody(content=parsed.content, function_call=_called(parsed.calls[0]))
        calls = [
            ToolCallBody(id=call_id(self._job_id, index, number), function=_called(call))
            for number, call in enumerate(parsed.calls)
        ]
        return ChatMessageBody(content=parsed.content, tool_calls=calls)


def _called(call: ParsedCall) -> FunctionCallBody:
    return FunctionCallBody(name=call.name, arguments=call.arguments)


def _tokenize(request: ChatCompletionRequest, renderer: PromptRenderer, tools: ToolUse | None) -> list[int]:
    try:
        return renderer.chat(neutral_messages(request.messages), tools)
    except InvalidPrompt as error:
        raise InvalidRequest(str(error), param="messages") from error


def _grammar(
    request: ChatCompletionRequest, renderer: PromptRenderer, tools: ToolUse | None
) -> Grammar | None:
    wanted = format_grammar(request.response_format)
    if wanted is not None:
        checked(wanted, "response_format")
    if tools is None:
        return wanted
    param = "functions" if request.tools is None else "tools"
    try:
        grammar = output_grammar(renderer.tool_format, tools, wanted)
    except InvalidGeneration as error:
        raise InvalidRequest(f"Invalid '{param}': {error}", param=param) from error
    return None if grammar is None else checked(grammar, param)

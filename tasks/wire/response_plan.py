"""From a body of the responses API, and what came before it, to a plan."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference.catalog import ModelSpec
from inference.errors import InvalidGeneration, InvalidPrompt
from inference.output_grammar import output_grammar
from inference.prompts import PromptRenderer
from inference.request import Grammar, SamplingParams
from inference.tools import ToolUse
from tasks.errors import ContextLengthExceeded, InvalidRequest
from tasks.plan import Endpoint, JobPlan
from tasks.planning import checked, find_model, renderer_of, room_for
from tasks.settings import settings
from tasks.wire.response_items import Item, input_items, kept_items
from tasks.wire.response_messages import chat_messages, check_calls, last_turn, without_orphans
from tasks.wire.responses import PromptFields, ResponseRequest, kept_request


@dataclass(frozen=True, slots=True)
class Context:
    """The items that came before; not all of them where there were too many (``cut``).

    ``known`` are items that the request names instead of giving them.
    """

    items: tuple[Item, ...] = ()
    cut: bool = False
    known: Mapping[str, Item] = field(default_factory=dict)


def response_plan(request: ResponseRequest, context: Context) -> JobPlan:
    """Raises UnknownModelRequested, ModelNotSupported, InvalidRequest, ContextLengthExceeded."""
    _check_combinations(request)
    prompt = Prompt(request, context)
    token_ids = prompt.token_ids(request.max_output_tokens)
    max_tokens = room_for(
        prompt.spec, len(token_ids), request.max_output_tokens, param="input", asked_param="max_output_tokens"
    )
    params = SamplingParams(
        max_tokens=max_tokens,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        logprobs=request.logprobs,
        grammar=prompt.grammar(),
    )
    return JobPlan(
        endpoint=Endpoint.RESPONSES,
        type="response",
        spec=prompt.spec,
        request=kept_request(request, prompt.given),
        prompts=(tuple(token_ids),),
        params=params,
        service_tier=request.tier,
        metadata=request.metadata or {},
        stored=request.stored,
        conversation_id=request.conversation_id,
    )


def count_input_tokens(request: PromptFields, context: Context) -> int:
    """The tokens that a response's prompt would have. Raises what ``response_plan`` raises."""
    prompt = Prompt(request, context)
    prompt.grammar()
    return len(prompt.render(prompt.items))


class Prompt:
    """What a model is told, and how much of the past fits into it."""

    def __init__(self, request: PromptFields, context: Context) -> None:
        self.spec: ModelSpec = find_model(request.model)
        self.given: list[Item] = kept_items(input_items(request.input), context.known)
        self.items: list[Item] = [*context.items, *self.given]
        if not self.items:
            raise InvalidRequest(
                "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
            )
        check_calls(context.items, self.given)
        self._request = request
        self._cut = context.cut
        self._tools: ToolUse | None = request.tool_use()
        self._renderer: PromptRenderer = renderer_of(self.spec)

    def render(self, items: Sequence[Item]) -> list[int]:
        messages = chat_messages(self._request.instructions, items)
        try:
            return self._renderer.chat(messages, self._tools)
        except InvalidPrompt as error:
            raise InvalidRequest(str(error), param="input") from error

    def token_ids(self, max_output_tokens: int | None) -> list[int]:
        """The prompt: of all items, or of as many of the latest as leave room for the output.

        Raises ContextLengthExceeded.
        """
        if self._request.truncation != "auto":
            if self._cut:
                raise ContextLengthExceeded(
                    "There are too many items to go on from; `truncation: auto` leaves out the oldest.",
                    param="truncation",
                )
            return self.render(self.items)
        most = self.spec.context_length - _wanted(self.spec, max_output_tokens)

        def fits(dropped: int) -> bool:
            return len(self.render(self._latest(dropped))) <= most

        if fits(0):
            return self.render(self.items)
        most_dropped = last_turn(self.items)
        dropped = bisect_left(range(most_dropped), True, lo=min(1, most_dropped), key=fits)
        return self.render(self._latest(dropped))

    def grammar(self) -> Grammar | None:
        """What the output has to match. Raises InvalidRequest."""
        text = self._request.text_grammar
        if text is not None:
            checked(text, "text.format.schema")
        if self._tools is None:
            return text
        try:
            grammar = output_grammar(self._renderer.tool_format, self._tools, text)
        except InvalidGeneration as error:
            raise InvalidRequest(f"Invalid 'tools': {error}", param="tools") from error
        return None if grammar is None else checked(grammar, "tools")

    def _latest(self, dropped: int) -> list[Item]:
        return without_orphans(self.items[dropped:])


def _wanted(spec: ModelSpec, max_output_tokens: int | None) -> int:
    """The room that the output should have."""
    if max_output_tokens is not None:
        return max_output_tokens
    return min(settings().default_max_tokens, spec.context_length // 2)


def _check_combinations(request: ResponseRequest) -> None:
    if request.background and not request.stored:
        raise InvalidRequest("background needs store: the answer is read later.", param="background")
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("stream_options is for streams only.", param="stream_options")
    if request.top_logprobs and not request.include:
        raise InvalidRequest(
            'top_logprobs needs include: ["message.output_text.logprobs"].', param="top_logprobs"
        )

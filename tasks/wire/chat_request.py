"""What a client may ask of a chat."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from tasks.errors import InvalidRequest
from tasks.wire.chat_messages import Message
from tasks.wire.chat_tools import ToolFields
from tasks.wire.fields import Refused
from tasks.wire.generation_fields import GenerationFields, Label, check_stream_options
from tasks.wire.response_format import ResponseFormat


class ChatCompletionRequest(GenerationFields, ToolFields):
    """Answer a conversation."""

    messages: list[Message] = Field(min_length=1, max_length=2048)
    max_completion_tokens: int | None = Field(
        None, ge=1, description="The most tokens of each answer; a default applies when it is left out."
    )
    max_tokens: int | None = Field(None, ge=1, description="The older name of `max_completion_tokens`.")
    logprobs: bool | None = Field(None, description="Log-probabilities of the answer's tokens.")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="And of so many others in their places; only with `logprobs`."
    )
    response_format: ResponseFormat | None = Field(None, description="The form the answer must have.")
    store: bool | None = Field(
        None, description="Keep it readable at `/v1/chat/completions/{id}`; it then goes on without a client."
    )
    safety_identifier: Label | None = Field(None, description="Kept with the request.")
    prompt_cache_key: Label | None = Field(
        None, description="Kept with the request: prompts share what they begin with whatever their key."
    )
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    reasoning_effort: Literal["none"] | None = Field(None, description="No model here reasons apart.")
    audio: Refused = None
    moderation: Refused = None
    prediction: Refused = None
    prompt_cache_options: Refused = None
    prompt_cache_retention: Refused = None
    verbosity: Refused = None
    web_search_options: Refused = None

    @property
    def asked_tokens(self) -> tuple[int | None, str]:
        """The most tokens, and the field that says so."""
        if self.max_completion_tokens is None and self.max_tokens is not None:
            return self.max_tokens, "max_tokens"
        return self.max_completion_tokens, "max_completion_tokens"


CHAT_COMPLETION_REQUEST: TypeAdapter[ChatCompletionRequest] = TypeAdapter(ChatCompletionRequest)


def check_company(request: ChatCompletionRequest) -> None:
    """Raises InvalidRequest for fields that contradict, or make no sense without, each other."""
    check_stream_options(request)
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("top_logprobs is only allowed with logprobs.", param="top_logprobs")
    both = (request.max_tokens, request.max_completion_tokens)
    if None not in both and both[0] != both[1]:
        raise InvalidRequest(
            "max_tokens is the older name of max_completion_tokens: give one of them.", param="max_tokens"
        )

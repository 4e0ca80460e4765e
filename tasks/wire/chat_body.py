"""The answer to a chat, and the chunks it comes in."""

from typing import Literal

from pydantic import BaseModel, Field

from tasks.wire.logprobs import ChatLogprobs
from tasks.wire.usage import CompletionUsage

FinishReason = Literal["stop", "length", "tool_calls", "function_call"]


class FunctionCallBody(BaseModel):
    """A function that is to be called, and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCallBody(BaseModel):
    """A call."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCallBody


class ChatMessageBody(BaseModel):
    """The assistant's turn: text, calls, or both."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ToolCallBody] | None = None
    function_call: FunctionCallBody | None = None


class ChatChoice(BaseModel):
    """One of the answers."""

    index: int
    message: ChatMessageBody
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason = Field(description="`length` also where a cancel or an expiry cut it short.")


class ChatCompletionBody(BaseModel):
    """The answers to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    service_tier: str
    system_fingerprint: str | None
    metadata: dict[str, str]


class FunctionDelta(BaseModel):
    """The name comes first, the arguments in pieces after it."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(BaseModel):
    """The next of a call."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta


class ChatDelta(BaseModel):
    """What has come of an answer; what has not is left out."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    function_call: FunctionDelta | None = None


class ChatChunkChoice(BaseModel):
    """The next of one of the answers."""

    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatChunk(BaseModel):
    """An event of a streamed chat; after the last comes `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]
    service_tier: str
    system_fingerprint: str | None = Field(description="Known from the chunks that finish on.")
    usage: CompletionUsage | None = Field(
        None, description="Only with `include_usage`, and `null` before the last chunk."
    )

"""The answer to a completion; its chunks have the same shape."""

from typing import Literal

from pydantic import BaseModel, Field

from tasks.wire.logprobs import CompletionLogprobs
from tasks.wire.usage import CompletionUsage


class CompletionChoice(BaseModel):
    """One of the texts."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] = Field(
        description="`length` also where a cancel or an expiry cut it short."
    )


class CompletionBody(BaseModel):
    """The texts that continue the prompts: `n` for each, in their order."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage
    service_tier: str
    system_fingerprint: str | None
    metadata: dict[str, str]


class CompletionChunkChoice(BaseModel):
    """The next of one of the texts."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class CompletionChunk(BaseModel):
    """An event of a streamed completion; after the last comes `[DONE]`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    service_tier: str
    system_fingerprint: str | None = Field(description="Known from the chunks that finish on.")
    usage: CompletionUsage | None = Field(
        None, description="Only with `include_usage`, and `null` before the last chunk."
    )

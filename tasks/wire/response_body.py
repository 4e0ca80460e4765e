"""The response object."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from inference.prompts import PromptRenderer
from tasks.ids import RESPONSE_PREFIX, shown_as
from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.result import JobResult
from tasks.wire.response_output import output_items, written_by
from tasks.wire.shown_items import OutputItem

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class ShownFunctionTool(BaseModel):
    """A function that the model may call."""

    type: Literal["function"] = "function"
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ShownFunctionChoice(BaseModel):
    """The function that is to be called."""

    type: Literal["function"]
    name: str


class ShownAllowedFunctions(BaseModel):
    """The functions that may be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[ShownFunctionChoice]


class ShownTextFormat(BaseModel):
    """What the text has to be."""

    type: Literal["text", "json_object"] = "text"


class ShownSchemaFormat(BaseModel):
    """The schema that the text matches."""

    type: Literal["json_schema"]
    name: str
    # The field's own name is a method's.
    schema_: dict[str, Any] = Field(alias="schema", serialization_alias="schema")
    description: str | None = None
    strict: bool | None = None


class ShownText(BaseModel):
    """What the text has to look like."""

    format: Annotated[ShownTextFormat | ShownSchemaFormat, Field(discriminator="type")] = ShownTextFormat()


class ShownReasoning(BaseModel):
    """No model here reasons apart from its answer."""

    effort: str | None = None
    summary: str | None = None


class ConversationName(BaseModel):
    """The conversation that a response belongs to."""

    id: str


class IncompleteDetails(BaseModel):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"]


class ResponseFailure(BaseModel):
    """Why a response failed. `type` is our own, more precise word for it."""

    code: Literal["server_error"] = "server_error"
    message: str
    type: str


class InputTokensDetails(BaseModel):
    """What of the input was found in the cache, and charged less."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokensDetails(BaseModel):
    """No model here reasons apart from its answer."""

    reasoning_tokens: int = 0


class ResponseUsage(BaseModel):
    """Tokens, as the engine counted them."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class ResponseBody(BaseModel):
    """A response. Times are Unix seconds."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus
    background: bool
    model: str
    output: list[OutputItem] = Field(default_factory=list)
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: ResponseUsage | None = None
    instructions: str | None
    previous_response_id: str | None
    conversation: ConversationName | None
    max_output_tokens: int | None
    max_tool_calls: None = None
    temperature: float
    top_p: float
    top_logprobs: int
    text: ShownText
    reasoning: ShownReasoning
    tools: list[ShownFunctionTool]
    tool_choice: Literal["none", "auto", "required"] | ShownFunctionChoice | ShownAllowedFunctions
    parallel_tool_calls: bool
    truncation: Literal["auto", "disabled"]
    store: bool
    service_tier: str
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    metadata: dict[str, str]


class ResponseDeleted(BaseModel):
    """A response is no more."""

    id: str
    object: Literal["response.deleted"] = "response.deleted"
    deleted: Literal[True] = True


class InputTokensBody(BaseModel):
    """How many tokens an input has."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


def response_body(result: JobResult, renderer: PromptRenderer | None) -> ResponseBody:
    """A response as it stands."""
    job = result.job
    status = _status(result)
    return opening_body(result, status).model_copy(
        update={
            "completed_at": _unix(job.ended_at) if status == "completed" else None,
            "output": output_items(written_by(result), renderer),
            "error": _failure(job),
            "incomplete_details": _incomplete(status),
            "usage": _usage(job),
        }
    )


def opening_body(result: JobResult, status: ResponseStatus) -> ResponseBody:
    """A response before anything has come of it: made of what never changes."""
    job = result.job
    return ResponseBody.model_validate(
        {
            "id": shown_as(job.id, RESPONSE_PREFIX),
            "created_at": _unix(job.created_at),
            "status": status,
            "model": job.model,
            "conversation": {"id": job.conversation_id} if job.conversation_id else None,
            "store": job.stored,
            "service_tier": job.service_tier,
            "metadata": job.metadata,
            **_echo(result.request),
        }
    )


def _echo(request: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a body as it is kept; a null means what leaving it out means."""
    given = {name: value for name, value in request.items() if value is not None}
    text = given.get("text", {}).get("format")
    return {
        **{name: given.get(name) for name in _AS_GIVEN},
        **{name: given.get(name, default) for name, default in _DEFAULTS.items()},
        "text": {} if text is None else {"format": text},
        "reasoning": {"effort": given.get("reasoning", {}).get("effort")},
    }


_AS_GIVEN = (
    "instructions",
    "previous_response_id",
    "max_output_tokens",
    "user",
    "safety_identifier",
    "prompt_cache_key",
)
_DEFAULTS: dict[str, Any] = {
    "background": False,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_logprobs": 0,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "truncation": "disabled",
}


def _status(result: JobResult) -> ResponseStatus:
    if result.job.status is JobStatus.COMPLETED and result.choices[0].finish_reason == "length":
        return "incomplete"
    return _STATUSES[result.job.status]


_STATUSES: dict[JobStatus, ResponseStatus] = {
    JobStatus.QUEUED: "queued",
    JobStatus.IN_PROGRESS: "in_progress",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.EXPIRED: "failed",
}


def _failure(job: JobRecord) -> ResponseFailure | None:
    if job.status is JobStatus.EXPIRED:
        message = job.error_message or "The response was not finished before it expired."
        return ResponseFailure(message=message, type=job.error_code or "job_expired")
    if job.status is JobStatus.FAILED:
        return ResponseFailure(message=job.error_message or "", type=job.error_code or "job_failed")
    return None


def _incomplete(status: ResponseStatus) -> IncompleteDetails | None:
    return IncompleteDetails(reason="max_output_tokens") if status == "incomplete" else None


def _usage(job: JobRecord) -> ResponseUsage | None:
    if job.completion_tokens is None:
        return None
    input_tokens = job.billed_prompt_tokens or 0
    return ResponseUsage(
        input_tokens=input_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=job.cached_tokens or 0),
        output_tokens=job.completion_tokens,
        total_tokens=input_tokens + job.completion_tokens,
    )


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())

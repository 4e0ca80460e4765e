"""The jobs API: what a client may ask for and what it is shown."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.plan import JobType
from tasks.pricing import usd_text
from tasks.wire.fields import MAX_SEED, Metadata, NonEmpty, Stop, Strict, stop_strings


class ChatMessage(Strict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: NonEmpty


class _JobFields(Strict):
    model: NonEmpty = Field(description="A name or alias from `GET /v1/models`.")
    max_tokens: int | None = Field(
        None, ge=1, description="The most tokens to generate; a default applies when it is left out."
    )
    temperature: float = Field(1.0, ge=0, le=2, allow_inf_nan=False, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, allow_inf_nan=False, description="Nucleus sampling.")
    stop: Stop | None = Field(
        None, description="Up to four strings; the text ends before the first that appears."
    )
    seed: int | None = Field(
        None, ge=-MAX_SEED - 1, le=MAX_SEED, description="The same seed gives the same sample."
    )
    metadata: Metadata = Field(default_factory=dict, description="Up to 16 pairs of your own.")
    expires_in_seconds: int | None = Field(
        None, ge=1, description="The job expires when it has not ended after this long."
    )

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return stop_strings(self.stop)


class ChatJobRequest(_JobFields):
    """Answer a conversation."""

    type: Literal["chat"]
    messages: list[ChatMessage] = Field(min_length=1, max_length=2048)


class CompletionJobRequest(_JobFields):
    """Continue a text."""

    type: Literal["completion"]
    prompt: NonEmpty


JobRequest = ChatJobRequest | CompletionJobRequest
JOB_REQUEST: TypeAdapter[JobRequest] = TypeAdapter(Annotated[JobRequest, Field(discriminator="type")])


class JobUsage(BaseModel):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int


class JobMessage(BaseModel):
    """The assistant's turn."""

    role: Literal["assistant"] = "assistant"
    content: str


class JobOutput(BaseModel):
    """What was generated: `message` for a chat or response, `text` for a completion."""

    text: str | None = None
    message: JobMessage | None = None
    finish_reason: Literal["stop", "length"] | None = Field(
        description="`null` when generation was cut short by a cancel, an expiry or a failure."
    )


class JobError(BaseModel):
    """Why a job failed or expired."""

    code: str
    message: str


class JobBody(BaseModel):
    """A job as its owner sees it. Times are Unix seconds; money is a decimal string in USD."""

    id: str
    object: Literal["job"] = "job"
    type: JobType
    model: str
    status: JobStatus
    created_at: int
    started_at: int | None
    cancel_requested_at: int | None
    ended_at: int | None
    expires_at: int
    attempt: int = Field(description="How often the job has been started.")
    queue_position: int | None = Field(
        description="1 is next. Only while queued, and not yet counted in the answer to the submit."
    )
    output: JobOutput | None
    usage: JobUsage | None
    cost_usd: str | None = Field(description="What the job was charged; `null` until it has ended.")
    error: JobError | None
    metadata: dict[str, str]


class JobListBody(BaseModel):
    """A page of jobs."""

    object: Literal["list"] = "list"
    data: list[JobBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


def job_body(job: JobRecord) -> JobBody:
    """The job object of the jobs API."""
    return JobBody(
        id=job.id,
        type=job.type,
        model=job.model,
        status=job.status,
        created_at=_unix(job.created_at),
        started_at=_unix_or_none(job.started_at),
        cancel_requested_at=_unix_or_none(job.cancel_requested_at),
        ended_at=_unix_or_none(job.ended_at),
        expires_at=_unix(job.expires_at),
        attempt=job.attempt,
        queue_position=job.queue_position,
        output=_output(job),
        usage=_usage(job),
        cost_usd=_money(job.cost_usd),
        error=_error(job),
        metadata=job.metadata,
    )


def _output(job: JobRecord) -> JobOutput | None:
    if job.output_text is None:
        return None
    if job.type in ("chat", "response"):
        return JobOutput(message=JobMessage(content=job.output_text), finish_reason=job.finish_reason)
    return JobOutput(text=job.output_text, finish_reason=job.finish_reason)


def _usage(job: JobRecord) -> JobUsage | None:
    if job.completion_tokens is None:
        return None
    return JobUsage(
        prompt_tokens=job.billed_prompt_tokens or 0,
        cached_tokens=job.cached_tokens or 0,
        completion_tokens=job.completion_tokens,
        total_tokens=(job.billed_prompt_tokens or 0) + job.completion_tokens,
    )


def _error(job: JobRecord) -> JobError | None:
    if job.error_code is None:
        return None
    return JobError(code=job.error_code, message=job.error_message or "")


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else usd_text(amount)


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _unix_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else _unix(moment)

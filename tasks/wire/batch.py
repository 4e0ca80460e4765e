"""The batches API: what a client may ask for and what it is shown."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, WithJsonSchema

from tasks.batch import BatchRecord, BatchStatus
from tasks.batch_plan import BatchPlan
from tasks.plan import Endpoint
from tasks.pricing import usd_text
from tasks.wire.fields import Metadata, NonEmpty, Strict
from tasks.wire.files import ExpiresAfter

_WINDOW = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhd])")
_UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 7 * 86_400
_MOST_USD = Decimal(1_000_000_000)


def window_seconds(window: str) -> int:
    """How long a completion window is. Raises ValueError."""
    read = _WINDOW.fullmatch(window)
    seconds = int(read["count"]) * _UNIT_SECONDS[read["unit"]] if read else 0
    if not _SHORTEST_SECONDS <= seconds <= _LONGEST_SECONDS:
        raise ValueError("it must be from `1h` to `7d`, such as `24h`")
    return seconds


def _check_window(window: str) -> str:
    window_seconds(window)
    return window


def _exact(value: object) -> object:
    """An amount as it was written, not as the nearest float."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("it must be an amount in US dollars: a number, or text such as `2.50`")
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        raise ValueError(f"it is no amount: {value!r}") from None
    if not amount.is_finite() or not 0 <= amount <= _MOST_USD:
        raise ValueError(f"it must be between 0 and {_MOST_USD}")
    return amount


Window = Annotated[
    str,
    AfterValidator(_check_window),
    Field(description="`24h`; ours: anything from `1h` to `7d`.", json_schema_extra={"examples": ["24h"]}),
]
Usd = Annotated[
    Decimal,
    BeforeValidator(_exact),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
BatchEndpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]


class BatchRequest(Strict):
    """Run every line of a file."""

    input_file_id: NonEmpty = Field(description="A file uploaded with the purpose `batch`.")
    endpoint: BatchEndpoint = Field(description="What each line's `url` must be.")
    completion_window: Window
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = Field(None, description="When the results go.")
    on_invalid_line: Literal["fail", "skip"] = Field(
        "fail", description="Ours: `skip` runs the other lines, and lists the invalid ones in the error file."
    )
    on_error: Literal["continue", "stop"] = Field(
        "continue", description="Ours: `stop` ends the batch with the first line that fails."
    )
    max_cost_usd: Usd | None = Field(None, description="Ours: a batch that could cost more fails at once.")

    def plan(self) -> BatchPlan:
        goes = self.output_expires_after
        return BatchPlan(
            endpoint=Endpoint(self.endpoint),
            input_file_id=self.input_file_id,
            completion_window=self.completion_window,
            completion_window_seconds=window_seconds(self.completion_window),
            metadata=self.metadata or {},
            on_invalid_line=self.on_invalid_line,
            on_error=self.on_error,
            max_cost_usd=self.max_cost_usd,
            output_expires_after_seconds=None if goes is None else goes.seconds,
        )


BATCH_REQUEST: TypeAdapter[BatchRequest] = TypeAdapter(BatchRequest)


class BatchErrorBody(BaseModel):
    """Something wrong with a batch, or with a line of its file."""

    code: str | None
    message: str | None
    param: str | None
    line: int | None = Field(description="Counted from 1.")


class BatchErrorListBody(BaseModel):
    """What is wrong; of many faults the first thousand."""

    object: Literal["list"] = "list"
    data: list[BatchErrorBody]


class RequestCounts(BaseModel):
    """Lines, by how they ended."""

    total: int
    completed: int
    failed: int


class InputTokensDetails(BaseModel):
    """``cached_tokens`` needed no computing and cost less."""

    cached_tokens: int


class OutputTokensDetails(BaseModel):
    """A kind of tokens that no model here has."""

    reasoning_tokens: int = 0


class BatchUsage(BaseModel):
    """Tokens of the lines that have completed so far."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class BatchBody(BaseModel):
    """A batch. Times are Unix seconds; money is a decimal string in USD."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = Field(description="Known once the file has been validated.")
    errors: BatchErrorListBody | None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None = Field(description="Can be read while the batch runs.")
    error_file_id: str | None = Field(description="There from the first line on that has no answer.")
    created_at: int
    in_progress_at: int | None
    expires_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str]
    cost_usd: str = Field(description="Ours: what it has been charged so far.")
    on_invalid_line: Literal["fail", "skip"] = Field(description="Ours.")
    on_error: Literal["continue", "stop"] = Field(description="Ours.")
    max_cost_usd: str | None = Field(description="Ours.")
    retry_of: str | None = Field(description="Ours: the batch whose unanswered lines these are.")


class BatchListBody(BaseModel):
    """A page of batches."""

    object: Literal["list"] = "list"
    data: list[BatchBody]
    first_id: str | None
    last_id: str | None
    has_more: bool


def batch_body(batch: BatchRecord) -> BatchBody:
    moments: dict[str, Any] = {
        name: _unix(getattr(batch, name)) for name in BatchBody.model_fields if name.endswith("_at")
    }
    return BatchBody(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model,
        errors=_errors(batch),
        input_file_id=batch.input_file_id,
        completion_window=batch.completion_window,
        status=batch.status,
        output_file_id=None if batch.status.ended and not batch.completed else batch.output_file_id,
        error_file_id=batch.error_file_id if batch.has_error_lines else None,
        request_counts=RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
        usage=_usage(batch),
        metadata=batch.metadata,
        cost_usd=usd_text(batch.cost_usd),
        on_invalid_line=batch.on_invalid_line,
        on_error=batch.on_error,
        max_cost_usd=None if batch.max_cost_usd is None else usd_text(batch.max_cost_usd),
        retry_of=batch.retry_of,
        **moments,
    )


def batch_list_body(batches: list[BatchRecord], *, has_more: bool) -> BatchListBody:
    return BatchListBody(
        data=[batch_body(batch) for batch in batches],
        first_id=batches[0].id if batches else None,
        last_id=batches[-1].id if batches else None,
        has_more=has_more,
    )


def _errors(batch: BatchRecord) -> BatchErrorListBody | None:
    if not batch.errors:
        return None
    return BatchErrorListBody(data=[BatchErrorBody.model_validate(error) for error in batch.errors])


def _usage(batch: BatchRecord) -> BatchUsage:
    return BatchUsage(
        input_tokens=batch.input_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=batch.cached_tokens),
        output_tokens=batch.output_tokens,
        output_tokens_details=OutputTokensDetails(),
        total_tokens=batch.input_tokens + batch.output_tokens,
    )


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())

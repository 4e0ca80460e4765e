"""What a batch would take, as it is asked for and shown. Not part of the OpenAI API."""

from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.batch_estimate import BatchEstimate
from tasks.batch_plan import BatchPlan
from tasks.plan import Endpoint
from tasks.pricing import usd_text
from tasks.wire.batch import BatchEndpoint, BatchErrorBody, BatchErrorListBody, Window, window_seconds
from tasks.wire.fields import NonEmpty, Strict


class EstimateRequest(Strict):
    """Which file, and how it would be run."""

    input_file_id: NonEmpty = Field(description="A file uploaded with the purpose `batch`.")
    endpoint: BatchEndpoint = Field(description="What each line's `url` must be.")
    completion_window: Window = "24h"

    def plan(self) -> BatchPlan:
        return BatchPlan(
            endpoint=Endpoint(self.endpoint),
            input_file_id=self.input_file_id,
            completion_window=self.completion_window,
            completion_window_seconds=window_seconds(self.completion_window),
        )


ESTIMATE_REQUEST: TypeAdapter[EstimateRequest] = TypeAdapter(EstimateRequest)


class EstimateCounts(BaseModel):
    """Lines, by whether they could run."""

    total: int
    valid: int
    invalid: int


class PriceRange(BaseModel):
    """US dollars as decimal strings."""

    min: str = Field(description="Every input token from the cache, and no output.")
    max: str = Field(description="No input token from the cache, and all output that is allowed.")


class EstimateBody(BaseModel):
    """What a batch would take. Token counts and prices are of the valid lines."""

    object: Literal["batch.estimate"] = "batch.estimate"
    input_file_id: str
    endpoint: str
    completion_window: str
    model: str | None
    request_counts: EstimateCounts
    errors: BatchErrorListBody
    input_tokens: int
    max_output_tokens: int
    cost_usd: PriceRange
    available_usd: str | None = Field(description="What the budget has left; `null` without a limit.")
    within_budget: bool = Field(description="Whether it covers the most that the batch could cost.")
    expected_finish_at: int | None = Field(
        description="From the measured rate and what waits already; `null` while nothing has been measured."
    )
    within_window: bool | None = Field(description="Whether that is within the completion window.")


def estimate_body(estimate: BatchEstimate) -> EstimateBody:
    plan, finish = estimate.plan, estimate.finish_at
    return EstimateBody(
        input_file_id=plan.input_file_id,
        endpoint=plan.endpoint,
        completion_window=plan.completion_window,
        model=estimate.model,
        request_counts=EstimateCounts(
            total=estimate.lines, valid=estimate.lines - estimate.invalid, invalid=estimate.invalid
        ),
        errors=BatchErrorListBody(data=[BatchErrorBody.model_validate(one) for one in estimate.errors]),
        input_tokens=estimate.input_tokens,
        max_output_tokens=estimate.max_output_tokens,
        cost_usd=PriceRange(min=usd_text(estimate.least_usd), max=usd_text(estimate.most_usd)),
        available_usd=None if estimate.available_usd is None else usd_text(estimate.available_usd),
        within_budget=estimate.within_budget,
        expected_finish_at=None if finish is None else int(finish.timestamp()),
        within_window=estimate.within_window,
    )

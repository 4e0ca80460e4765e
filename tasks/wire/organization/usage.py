"""Usage and costs of the admin API. Amounts are exact until here: OpenAI's client wants a number."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from tasks.organization_costs import CostSum
from tasks.organization_usage import UsageSum
from tasks.usage_buckets import BucketPage

Sum = TypeVar("Sum")


class UsageGroup(BaseModel):
    """What a result is for; null unless it was grouped by."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None


class CompletionsUsageBody(UsageGroup):
    """Tokens of chats, completions and responses."""

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    batch: bool | None = None
    service_tier: str | None = None
    api_source: Literal["unlabeled"] | None = None
    num_model_requests: int
    input_tokens: int
    input_cached_tokens: int
    input_uncached_tokens: int
    output_tokens: int
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0


class EmbeddingsUsageBody(UsageGroup):
    """Tokens of embeddings."""

    object: Literal["organization.usage.embeddings.result"] = "organization.usage.embeddings.result"
    num_model_requests: int
    input_tokens: int


class AmountBody(BaseModel):
    """Money as a number; the ledger has it exactly."""

    value: float
    currency: Literal["usd"] = "usd"


class CostsBody(BaseModel):
    """What was charged, less what was refunded, and what was adjusted."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: AmountBody
    line_item: str | None = None
    quantity: int | None = None
    quantity_unit: Literal["tokens"] | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    api_source: Literal["unlabeled"] | None = None


class _Bucket(BaseModel):
    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int


class CompletionsUsageBucket(_Bucket):
    """A stretch of time; results are empty where there was nothing."""

    results: list[CompletionsUsageBody]


class EmbeddingsUsageBucket(_Bucket):
    """A stretch of time; results are empty where there was nothing."""

    results: list[EmbeddingsUsageBody]


class CostsBucket(_Bucket):
    """A day; results are empty where there was nothing."""

    results: list[CostsBody]


class _Page(BaseModel):
    object: Literal["page"] = "page"
    has_more: bool
    next_page: str | None


class CompletionsUsagePage(_Page):
    """A page of buckets, oldest first."""

    data: list[CompletionsUsageBucket]


class EmbeddingsUsagePage(_Page):
    """A page of buckets, oldest first."""

    data: list[EmbeddingsUsageBucket]


class CostsPage(_Page):
    """A page of days, oldest first."""

    data: list[CostsBucket]


def completions_usage_page(page: BucketPage[UsageSum]) -> CompletionsUsagePage:
    return CompletionsUsagePage(**_page(page, CompletionsUsageBucket, _completions))


def embeddings_usage_page(page: BucketPage[UsageSum]) -> EmbeddingsUsagePage:
    return EmbeddingsUsagePage(**_page(page, EmbeddingsUsageBucket, _embeddings))


def costs_page(page: BucketPage[CostSum]) -> CostsPage:
    return CostsPage(**_page(page, CostsBucket, _costs))


def _page(
    page: BucketPage[Sum], bucket_body: Callable[..., BaseModel], result_body: Callable[[Sum], BaseModel]
) -> dict[str, Any]:
    data = [
        bucket_body(
            start_time=bucket.start,
            end_time=bucket.end,
            results=[result_body(result) for result in bucket.results],
        )
        for bucket in page.buckets
    ]
    return {"data": data, "has_more": page.next_page is not None, "next_page": page.next_page}


def _embeddings(result: UsageSum) -> EmbeddingsUsageBody:
    return EmbeddingsUsageBody(
        num_model_requests=result.requests,
        input_tokens=result.prompt_tokens,
        **_group(result.group),
    )


def _completions(result: UsageSum) -> CompletionsUsageBody:
    return CompletionsUsageBody(
        num_model_requests=result.requests,
        input_tokens=result.prompt_tokens,
        input_cached_tokens=result.cached_tokens,
        input_uncached_tokens=result.prompt_tokens - result.cached_tokens,
        output_tokens=result.completion_tokens,
        **_group(result.group),
    )


def _costs(result: CostSum) -> CostsBody:
    return CostsBody(
        amount=AmountBody(value=float(result.amount_usd)),
        quantity=result.quantity,
        quantity_unit=None if result.quantity is None else "tokens",
        **_group(result.group),
    )


def _group(group: dict[str, Any]) -> dict[str, Any]:
    """What has no key, or no model, has an empty one in the database."""
    return {name: None if value == "" else value for name, value in group.items()}

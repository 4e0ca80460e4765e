"""Rate limits of the admin API. OpenAI's names stand for ours; what it has no name for is marked as ours."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.pages import Page
from tasks.rate_limits import RateLimitRecord
from tasks.wire.fields import Refused, Strict
from tasks.wire.organization.pages import ListBody, list_values

_MOST = 2**31 - 1
_MOST_TOKENS = 2**53 - 1
Requests = Annotated[int | None, Field(ge=0, le=_MOST, description="0 is no limit, `null` the default.")]
Tokens = Annotated[int | None, Field(ge=0, le=_MOST_TOKENS, description="0 is no limit, `null` the default.")]

_OURS = {
    "max_requests_per_1_minute": "requests_per_minute",
    "max_tokens_per_1_minute": "tokens_per_minute",
    "max_requests_per_1_day": "requests_per_day",
    "max_tokens_per_1_day": "tokens_per_day",
    "max_concurrent_jobs": "concurrent_jobs",
    "batch_1_day_max_input_tokens": "queued_batch_tokens",
}


class RateLimitUpdateRequest(Strict):
    """Other amounts for some of a limit's; those that are left out stay."""

    max_requests_per_1_minute: Requests = None
    max_tokens_per_1_minute: Tokens = None
    max_requests_per_1_day: Requests = None
    max_tokens_per_1_day: Tokens = None
    max_concurrent_jobs: Requests = None
    batch_1_day_max_input_tokens: Tokens = None
    max_images_per_1_minute: Refused = None
    max_audio_megabytes_per_1_minute: Refused = None

    def changes(self) -> dict[str, int | None]:
        return {ours: getattr(self, name) for name, ours in _OURS.items() if name in self.model_fields_set}


class RateLimitBody(BaseModel):
    """The limits that hold for a model in a service tier. 0 is no limit."""

    id: str
    object: Literal["project.rate_limit"] = "project.rate_limit"
    model: str = Field(description="`*`: all models of the project together.")
    service_tier: str = Field(description="Ours; `*` where the model is.")
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_requests_per_1_day: int
    max_tokens_per_1_day: int = Field(description="Ours.")
    max_concurrent_jobs: int = Field(description="Ours: how many jobs may be unfinished, but for batches.")
    batch_1_day_max_input_tokens: int = Field(
        description="Tokens queued in open batches; of the default tier's limit."
    )


class RateLimitListBody(ListBody[RateLimitBody]):
    """A page of a project's rate limits."""


RATE_LIMIT_UPDATE: TypeAdapter[RateLimitUpdateRequest] = TypeAdapter(RateLimitUpdateRequest)


def rate_limit_body(record: RateLimitRecord) -> RateLimitBody:
    amounts: dict[str, Any] = {name: getattr(record.amounts, ours) for name, ours in _OURS.items()}
    return RateLimitBody(id=record.id, model=record.model, service_tier=record.service_tier, **amounts)


def rate_limit_list_body(page: Page[RateLimitRecord]) -> RateLimitListBody:
    return RateLimitListBody(**list_values(page, rate_limit_body))

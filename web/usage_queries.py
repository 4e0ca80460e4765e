"""Query parameters of usage and costs."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tasks.errors import InvalidRequest
from tasks.usage_buckets import Stretch, Width, stretch
from tasks.usage_source import UsageFilter
from web.queries import Name, Query, UnixSeconds

Names = Annotated[list[Name], Field(default_factory=list, max_length=100)]


class BucketQuery(Query):
    """Which buckets, oldest first. They are whole in UTC, also where the time asked for begins inside one."""

    most: ClassVar[dict[Width, tuple[int, int]]]

    start_time: UnixSeconds
    end_time: UnixSeconds | None = Field(None, description="Exclusive; now without it.")
    limit: int | None = Field(None, ge=1, le=1440, description="How many buckets at most.")
    page: Name | None = Field(None, description="The `next_page` of an answer.")
    project_ids: Names
    api_key_ids: Names
    user_ids: Names

    def stretch_of(self, width: Width) -> Stretch:
        """Raises InvalidRequest."""
        usual, most = self.most[width]
        limit = self.limit or usual
        if limit > most:
            raise InvalidRequest(f"limit must be at most {most} for buckets of {width}.", param="limit")
        return stretch(width, self.start_time, self.end_time, limit, self.page)


class UsageQuery(BucketQuery):
    """Which usage."""

    most = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}  # noqa: RUF012 - a ClassVar above

    bucket_width: Width = Field(
        "1d", description="Up to 1440 buckets of `1m`, 168 of `1h` or 31 of `1d` make a page."
    )
    models: Names

    @property
    def stretch(self) -> Stretch:
        return self.stretch_of(self.bucket_width)


class CompletionsUsageQuery(UsageQuery):
    """Which usage of chats, completions and responses."""

    group_by: list[
        Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]
    ] = Field(default_factory=list, max_length=20)
    batch: bool | None = Field(None, description="Only lines of batches, or everything but them.")

    @property
    def usage_filter(self) -> UsageFilter:
        return UsageFilter(
            project_ids=self.project_ids,
            api_key_ids=self.api_key_ids,
            user_ids=self.user_ids,
            models=self.models,
            batch=self.batch,
        )


class EmbeddingsUsageQuery(UsageQuery):
    """Which usage of embeddings."""

    group_by: list[Literal["project_id", "user_id", "api_key_id", "model"]] = Field(
        default_factory=list, max_length=20
    )

    @property
    def usage_filter(self) -> UsageFilter:
        return UsageFilter(
            project_ids=self.project_ids,
            api_key_ids=self.api_key_ids,
            user_ids=self.user_ids,
            models=self.models,
        )


class CostsQuery(BucketQuery):
    """Which costs."""

    most = {"1d": (7, 180)}  # noqa: RUF012 - a ClassVar above

    bucket_width: Literal["1d"] = "1d"
    group_by: list[Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]] = Field(
        default_factory=list, max_length=20
    )
    line_items: Names

    @property
    def stretch(self) -> Stretch:
        return self.stretch_of(self.bucket_width)

    @property
    def usage_filter(self) -> UsageFilter:
        return UsageFilter(project_ids=self.project_ids, api_key_ids=self.api_key_ids, user_ids=self.user_ids)

"""Query parameters of responses and of items."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tasks.errors import InvalidRequest
from tasks.item_page import ItemFilter
from tasks.wire.responses import Includable
from web.queries import Name, Query


def _listed(value: object) -> object:
    """``include[]=a`` and ``include=a`` both are a list."""
    return [value] if isinstance(value, str) else value


Include = Annotated[list[Includable], BeforeValidator(_listed)]


class IncludeQuery(Query):
    """What the answer is to hold beside what it always does."""

    include: Include = Field(
        default_factory=list, description="Log-probabilities are there where they were asked for at first."
    )


class ResponseQuery(IncludeQuery):
    """How to read a response."""

    stream: bool = Field(False, description="Send its events: those that were, and then those that come.")
    starting_after: int | None = Field(
        None, ge=0, le=2**31, description="Only with `stream`: the events behind this `sequence_number`."
    )
    include_obfuscation: Literal["false", False] = Field(False, description="Not done here.")

    @property
    def seen(self) -> int:
        """How many events the client has seen. Raises InvalidRequest."""
        if self.starting_after is None:
            return 0
        if not self.stream:
            raise InvalidRequest("starting_after is for streams only.", param="starting_after")
        return self.starting_after + 1


class ItemListQuery(IncludeQuery):
    """Which items to list."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    after: Name | None = Field(None, description="The page behind this item.")
    order: Literal["asc", "desc"] = Field("desc", description="By time.")

    def item_filter(self) -> ItemFilter:
        return ItemFilter(limit=self.limit, after=self.after, order=self.order)

"""Query parameters of batches."""

from pydantic import Field

from web.queries import Name, Query


class BatchListQuery(Query):
    """Which batches to list, newest first."""

    after: Name | None = Field(None, description="The page behind this batch.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")

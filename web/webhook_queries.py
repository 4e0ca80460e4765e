"""Query parameters of webhooks."""

from pydantic import Field

from tasks.wire.webhooks import DeliveryStatus
from web.queries import Name, Query


class EndpointListQuery(Query):
    """Which webhook endpoints to list, newest first."""

    after: Name | None = Field(None, description="The page behind this endpoint.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")


class DeliveryListQuery(Query):
    """Which deliveries to list, newest first."""

    after: Name | None = Field(None, description="The page behind this delivery.")
    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    status: DeliveryStatus | None = None

"""Endpoints, events and what has become of them, as tests want them."""

from typing import Any

from tasks import webhook_deliveries, webhook_endpoints
from tasks.db import transaction
from tasks.webhook_deliveries import DeliveryLog, DeliveryRecord
from tasks.webhook_delivery import Deliverer
from tasks.webhook_endpoints import EndpointWithSecret
from tasks.webhook_events import EventType, enqueue_event
from tests.integration.tasks.batch_work import change

ALL = [event_type.value for event_type in EventType]


class WebhookWork:
    """A project with webhooks, and a scheduler that delivers when it is told to."""

    def __init__(self, project_id: str, url: str) -> None:
        self.project_id = project_id
        self.url = url
        self.deliverer = Deliverer()

    def endpoint(self, **values: Any) -> EndpointWithSecret:
        wanted = {"name": "tests", "url": self.url, "event_types": ALL, **values}
        return webhook_endpoints.create_endpoint(self.project_id, wanted)

    def tell(self, event_type: str = "job.completed", named: str = "job_1") -> None:
        with transaction() as connection:
            enqueue_event(connection, self.project_id, event_type, {"id": named})

    def deliver(self, seconds: float = 20) -> None:
        """One round of the scheduler, to its end."""
        self.deliverer.start_due()
        assert self.deliverer.wait(seconds)

    def deliveries(self, endpoint_id: str) -> list[DeliveryRecord]:
        """The oldest first."""
        page = webhook_deliveries.list_deliveries(self.project_id, endpoint_id, limit=100)
        return page.items[::-1]

    def told(self, endpoint_id: str) -> list[str]:
        """The types of the events that an endpoint is told of, in their order."""
        return [delivery.event_type for delivery in self.deliveries(endpoint_id)]

    def log(self, endpoint_id: str) -> DeliveryLog:
        """Of the only delivery."""
        (delivery,) = self.deliveries(endpoint_id)
        return webhook_deliveries.get_delivery(self.project_id, endpoint_id, delivery.id)

    def hurry(self) -> None:
        """As if the pause before the next try were over."""
        change("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending'")

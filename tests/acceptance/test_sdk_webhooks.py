"""Webhooks of the running platform, judged by OpenAI's own client."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.acceptance.sdk_responses import FRANCE, create
from tests.unit.tasks.webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def test_end_of_a_response_in_the_background_is_told(sdk: OpenAI, receiver: Receiver) -> None:
    endpoint = sdk.webhooks.create(name="tests", url=receiver.url, event_types=["response.completed"])
    try:
        response = create(sdk, input=FRANCE, background=True)
        (received,) = receiver.wait_for(1, seconds=60)
        event = sdk.webhooks.unwrap(received.body, received.headers, secret=endpoint.signing_secret)
        assert event.type == "response.completed"
        assert event.data.id == response.id
        assert sdk.responses.retrieve(response.id).status == "completed"
        result = sdk.webhooks.test(endpoint.id, event_type="batch.completed")
        assert (result.status_code, result.event_type) == (204, "batch.completed")
    finally:
        sdk.webhooks.delete(endpoint.id)

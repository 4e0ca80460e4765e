"""A broker that takes connections and says nothing holds nobody up for long."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from kombu import Connection, pools

from tasks import events
from tasks.settings import settings
from tests.chaos.proxy import Proxy
from tests.services.fixtures import Broker

SILENCE_SECONDS = 6.0


@pytest.fixture
def line(rabbitmq: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What this process publishes events over."""
    parts = urlsplit(rabbitmq.url)
    with Proxy.to_port(parts.port or 5672) as proxy:
        near = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()
        monkeypatch.setenv("BROKER_URL", near)
        monkeypatch.setenv("TOKENMILL_QUEUE_PREFIX", rabbitmq.queue_prefix)
        settings.cache_clear()
        connections = Connection(near, transport_options={"confirm_publish": True}).Pool(limit=1)
        producers = pools.ProducerPool(connections, limit=1)
        monkeypatch.setattr(events, "app", SimpleNamespace(producer_pool=producers))
        yield proxy
        connections.force_close_all()
    settings.cache_clear()


def test_event_that_a_silent_broker_does_not_confirm_is_let_go(line: Proxy) -> None:
    events.publish(events.ENDED, ["job_1"])
    silent = threading.Thread(target=line.stall, args=(SILENCE_SECONDS,))
    silent.start()
    time.sleep(0.2)
    began = time.monotonic()
    events.publish(events.ENDED, ["job_2"])
    assert time.monotonic() - began < SILENCE_SECONDS - 2
    silent.join()
    events.publish(events.ENDED, ["job_3"])

import time
from urllib.parse import urlsplit

import pytest
from kombu import Connection, Exchange, Message, Queue
from kombu.simple import SimpleQueue

from tests.services.fixtures import Broker
from tests.services.rabbitmq import RabbitMQServer, answers

QUEUE = Queue(
    "survivors", Exchange(""), "survivors", durable=True, queue_arguments={"x-queue-type": "quorum"}
)
# RabbitMQ writes down a new quorum queue's membership about a second after it has confirmed the declaration.
# A crash before that leaves a queue that answers nobody.
MEMBERSHIP_WRITTEN_SECONDS = 3


def connect(url: str) -> Connection:
    return Connection(url, transport_options={"confirm_publish": True}, connect_timeout=5)


def publish(url: str, body: str) -> None:
    with connect(url) as connection:
        QUEUE(connection).declare()
        connection.Producer().publish(body, routing_key=QUEUE.name, delivery_mode=2, timeout=10)


def receive(url: str) -> str:
    with connect(url) as connection, SimpleQueue(connection, QUEUE) as queue:
        message: Message = queue.get(timeout=20)
        message.ack()
        return str(message.payload)


def test_starts_on_a_port_of_its_own(private_rabbitmq: RabbitMQServer) -> None:
    assert urlsplit(private_rabbitmq.url).port != 5672
    assert answers(private_rabbitmq.url)


@pytest.mark.slow
def test_confirmed_message_in_a_quorum_queue_survives_a_crash(private_rabbitmq: RabbitMQServer) -> None:
    publish(private_rabbitmq.url, "settled")
    time.sleep(MEMBERSHIP_WRITTEN_SECONDS)
    assert receive(private_rabbitmq.url) == "settled"
    publish(private_rabbitmq.url, "still here")
    private_rabbitmq.kill()
    assert not answers(private_rabbitmq.url)
    private_rabbitmq.start()
    assert receive(private_rabbitmq.url) == "still here"


@pytest.mark.slow
def test_confirmed_message_survives_an_orderly_restart(private_rabbitmq: RabbitMQServer) -> None:
    publish(private_rabbitmq.url, "here too")
    private_rabbitmq.stop()
    assert not answers(private_rabbitmq.url)
    private_rabbitmq.start()
    assert receive(private_rabbitmq.url) == "here too"


def test_broker_of_the_run_answers(rabbitmq: Broker) -> None:
    assert answers(rabbitmq.url)

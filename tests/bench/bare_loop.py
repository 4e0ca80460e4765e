"""The baseline: insert the same rows, publish the same message with confirms, and nothing else.

Two processes, each a loop: one transaction, one confirmed publish, again.
"""

import json
import multiprocessing
import time
from uuid import uuid4

import amqp
import psycopg2
from psycopg2.extras import Json
from uuid_utils import uuid7


def run(
    database_url: str, broker_url: str, columns: dict[str, object], processes: int, seconds: float
) -> float:
    """Jobs a second that the loops insert and publish together."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        arguments = [(database_url, broker_url, columns, seconds)] * processes
        return sum(pool.starmap(_loop, arguments))


def _loop(database_url: str, broker_url: str, columns: dict[str, object], seconds: float) -> float:
    database = psycopg2.connect(database_url)
    cursor = database.cursor()
    broker = amqp.Connection(**_address(broker_url), confirm_publish=True)
    broker.connect()
    channel = broker.channel()
    queue = f"bench.bare.{uuid4().hex}"
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    names = ", ".join(columns)
    places = ", ".join(["%s"] * len(columns))
    insert = f"INSERT INTO jobs (id, {names}) VALUES (%s, {places})"  # noqa: S608 (our own column names)
    values = [Json(value) if isinstance(value, dict) else value for value in columns.values()]
    hold = "INSERT INTO holds (job_id, project_id, amount_usd) VALUES (%s, %s, 0.00001)"
    count, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        job_id = f"job_{uuid7().hex}"
        cursor.execute(insert, [job_id, *values])
        cursor.execute(hold, [job_id, columns["project_id"]])
        database.commit()
        body = json.dumps([[job_id], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
        channel.basic_publish(_message(body, job_id), routing_key=queue)
        count += 1
    rate = count / (time.monotonic() - started)
    channel.queue_delete(queue)
    broker.close()
    database.close()
    return rate


def _message(body: str, job_id: str) -> amqp.Message:
    headers = {
        "lang": "py",
        "task": "tasks.generate.generate",
        "id": job_id,
        "root_id": job_id,
        "ignore_result": True,
    }
    return amqp.Message(
        body,
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        correlation_id=job_id,
        application_headers=headers,
    )


def _address(broker_url: str) -> dict[str, object]:
    from kombu.utils.url import parse_url

    parts = parse_url(broker_url)
    return {
        "host": f"{parts['hostname']}:{parts['port'] or 5672}",
        "userid": parts["userid"] or "guest",
        "password": parts["password"] or "guest",
        "virtual_host": parts["virtual_host"] or "/",
    }

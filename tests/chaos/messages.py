"""What a broker may do to messages: lose them all, and deliver them again."""

import random
from collections.abc import Sequence

import psycopg2
from kombu import Connection
from kombu.exceptions import OperationalError

from tasks.errors import BrokerUnavailable
from tasks.queue import ConfirmedPublisher, queue_for, slice_queue_for
from tests.chaos.model import MODEL

_SLICES = """
    SELECT slice_id FROM jobs WHERE slice_id IS NOT NULL GROUP BY slice_id ORDER BY random() LIMIT 6
"""
_MOST_JOBS = 40


def repeat(database_url: str, job_ids: Sequence[str], dice: random.Random) -> None:
    """Publish some jobs and slices, new and long ended, twice more."""
    chosen = dice.sample(job_ids, min(_MOST_JOBS, len(job_ids)))
    slices = _slices(database_url)
    publisher = None
    try:
        publisher = ConfirmedPublisher()
        for _ in range(2):
            publisher.publish([(job_id, MODEL) for job_id in chosen])
            publisher.publish_slices([(slice_id, MODEL, False) for slice_id in slices])
    except BrokerUnavailable:
        # It is down, by another fault: then nothing is delivered twice this time.
        return
    finally:
        if publisher is not None:
            publisher.close()


def purge(broker_url: str) -> None:
    """Every message that waits is gone, as after the loss of a broker's disk."""
    try:
        with Connection(broker_url, connect_timeout=2) as connection:
            for queue in (queue_for(MODEL), slice_queue_for(MODEL)):
                queue(connection.default_channel).declare()
                queue(connection.default_channel).purge()
    except (OperationalError, OSError):
        return


def _slices(database_url: str) -> list[str]:
    try:
        connection = psycopg2.connect(database_url)
    except psycopg2.OperationalError:
        return []
    try:
        with connection, connection.cursor() as run:
            run.execute(_SLICES)
            return [str(slice_id) for (slice_id,) in run.fetchall()]
    finally:
        connection.close()

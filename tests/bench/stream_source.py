"""Tokens at a steady pace, sent as a worker sends them, without the work of a model.

    python -m tests.bench.stream_source STEPS STEPS_PER_SECOND < job ids, one a line

Prints, as JSON, the ``time.monotonic()`` at which each step's tokens were handed to the publisher.
"""

import json
import sys
import time

from sqlalchemy import select

from tasks.db import transaction
from tasks.models import Job
from tasks.stream_publisher import StreamPublisher
from tasks.streams import Tokens

# A word of the packaged model, so that each token is text at once.
TOKEN_ID = 617


def main(steps: int, steps_per_second: float, job_ids: list[str]) -> list[float]:
    with transaction() as connection:
        rows = connection.execute(select(Job.id, Job.stream_to).where(Job.id.in_(job_ids))).all()
    listeners = {row.id: tuple(row.stream_to) for row in rows}
    publisher = StreamPublisher()
    publisher.start()
    sent = []
    # A worker is connected before its first job.
    begun = time.monotonic() + 1
    for step in range(steps):
        time.sleep(max(0.0, begun + step / steps_per_second - time.monotonic()))
        sent.append(time.monotonic())
        for job_id in job_ids:
            publisher.put(listeners[job_id], Tokens(job_id, 0, step, (TOKEN_ID,)))
    publisher.stop()
    return sent


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]), sys.stdin.read().split())))

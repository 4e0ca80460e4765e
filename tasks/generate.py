"""The worker's task: an id in, nothing out."""

import time

from celery import Task, shared_task
from celery.exceptions import Reject

from tasks import worker
from tasks.errors import WorkerLeaving
from tasks.queue import GENERATE_TASK

# RabbitMQ may give a message back to the same worker until that has stopped consuming, and counts how often.
_PAUSE_BEFORE_RETURN_SECONDS = 0.5


# Its events are sent by `tasks.task_events`, which knows more of the job than Celery.
@shared_task(name=GENERATE_TASK, bind=True, send_events=False)
def generate(self: Task, job_id: str) -> None:
    """Run a job of the model whose queue this came by; safe to run twice, also at the same time."""
    try:
        worker.runner(self.request.delivery_info["routing_key"]).run(job_id)
    except WorkerLeaving as error:
        # Acknowledged, the message would be lost with nobody having claimed its job.
        time.sleep(_PAUSE_BEFORE_RETURN_SECONDS)
        raise Reject(error.message, requeue=True) from None

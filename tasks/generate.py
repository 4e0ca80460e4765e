"""The worker's task: an id in, nothing out."""

from celery import Task, shared_task

from tasks import worker
from tasks.queue import GENERATE_TASK


# Its events are sent by `tasks.task_events`, which knows more of the job than Celery.
@shared_task(name=GENERATE_TASK, bind=True, send_events=False)
def generate(self: Task, job_id: str) -> None:
    """Run a job of the model whose queue this came by; safe to run twice, also at the same time."""
    worker.runner(self.request.delivery_info["routing_key"]).run(job_id)

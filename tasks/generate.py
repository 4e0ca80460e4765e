"""The worker's task: an id in, nothing out."""

from tasks import worker
from tasks.app import app
from tasks.queue import GENERATE_TASK


@app.task(name=GENERATE_TASK)
def generate(job_id: str) -> None:
    """Run a job; safe to run twice, also at the same time."""
    worker.runner().run(job_id)

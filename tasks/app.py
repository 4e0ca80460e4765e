"""The Celery app: `celery -A tasks.app worker` and everything that publishes."""

from celery import Celery

app = Celery("tokenmill")
app.config_from_object("celeryconfig")

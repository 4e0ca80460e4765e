"""Celery's configuration: its default name, so `celery -A tasks.app …` finds it without a flag."""

from datetime import timedelta

from tasks.queue import served_queue
from tasks.settings import settings

_settings = settings()

broker_url = _settings.broker_url
broker_connection_timeout = _settings.broker_connect_timeout_seconds
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A publish is durable only once the broker has confirmed it.
broker_transport_options = (
    {"polling_interval": 0.01} if broker_url.startswith("memory:") else {"confirm_publish": True}
)
broker_heartbeat = 20

# Imported by workers alone: a producer sends tasks by name and needs no torch.
imports = ("tasks.generate",)
task_queues = (served_queue(),)
task_default_queue = task_queues[0].name
task_default_queue_type = "quorum"
task_create_missing_queues = False

# Acknowledged when the result is committed; a message whose worker died comes again.
task_acks_late = True
task_reject_on_worker_lost = True
task_ignore_result = True
task_serializer = "json"
accept_content = ["json"]

worker_pool = "threads"
# More threads than slots, so that a freed slot finds the next job claimed and waiting in the engine.
worker_concurrency = _settings.worker_slots + 16
worker_prefetch_multiplier = 1
worker_detect_quorum_queues = True
worker_enable_prefetch_count_reduction = False
worker_cancel_long_running_tasks_on_connection_loss = False
worker_hijack_root_logger = False
worker_send_task_events = True
task_send_sent_event = False
# RabbitMQ 4.3 refuses transient queues that are not exclusive.
control_queue_exclusive = True
event_queue_exclusive = True

timezone = "UTC"
_every_seconds = {
    "note_scheduler": 5,
    "relay_outbox": _settings.relay_interval_seconds,
    "release_lost_jobs": _settings.sweep_interval_seconds,
    "expire_jobs": _settings.sweep_interval_seconds,
    "republish_lost_messages": _settings.republish_after_seconds / 4,
    "validate_batches": _settings.batch_interval_seconds,
    "feed_batches": _settings.feed_interval_seconds,
    "end_batches": _settings.batch_interval_seconds,
    "forget_lost_slices": _settings.republish_after_seconds / 4,
    "deliver_webhooks": _settings.webhook_interval_seconds,
    "measure_batch_files": 5,
    "sign_receipts": 1,
    "note_budget_alerts": 10,
    "mail_budget_alerts": 10,
    "announce_budget_alerts": 10,
    "erase_deleted_jobs": 30,
    "erase_stored_objects": 60,
    "forget_idempotency_keys": 600,
    "forget_webhook_deliveries": 60,
    # It has a pace of its own, and the first look is to be soon.
    "check_ledger": 10,
}
beat_schedule = {
    name.replace("_", " "): {"task": f"tasks.maintenance.{name}", "schedule": timedelta(seconds=seconds)}
    for name, seconds in _every_seconds.items()
}

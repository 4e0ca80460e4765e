"""The scheduler's tasks: each may run twice at once, fail, or not run for a while, without harm."""

from datetime import timedelta

from sqlalchemy import delete, func

from tasks import (
    batch_ending,
    batch_file_sizes,
    batch_validation,
    budget_alerts,
    budget_announcing,
    deletion,
    feeder,
    lost_jobs,
    mail,
    outbox,
    scheduler_presence,
    slices,
    stored_objects,
    webhook_deliveries,
    webhook_delivery,
)
from tasks.app import app
from tasks.billing import watch
from tasks.db import transaction
from tasks.models import IdempotencyKey
from tasks.receipts import chain
from tasks.settings import settings


@app.task(name="tasks.maintenance.note_scheduler")
def note_scheduler() -> int:
    """Say that this scheduler lives."""
    scheduler_presence.note()
    return 0


@app.task(name="tasks.maintenance.relay_outbox")
def relay_outbox() -> int:
    """Publish queued jobs that no broker has confirmed."""
    return outbox.relay()


@app.task(name="tasks.maintenance.release_lost_jobs")
def release_lost_jobs() -> int:
    """Queue the jobs of dead workers again."""
    return lost_jobs.release()


@app.task(name="tasks.maintenance.expire_jobs")
def expire_jobs() -> int:
    """End jobs whose time is up."""
    return lost_jobs.expire()


@app.task(name="tasks.maintenance.republish_lost_messages")
def republish_lost_messages() -> int:
    """Publish jobs again whose message the broker has lost."""
    return outbox.republish_lost()


@app.task(name="tasks.maintenance.measure_batch_files")
def measure_batch_files() -> int:
    """Count how large the files of ended batches are."""
    return batch_file_sizes.measure_ended()


@app.task(name="tasks.maintenance.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete idempotency keys past their time."""
    old = func.now() - timedelta(seconds=settings().idempotency_ttl_seconds)
    with transaction() as connection:
        return connection.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < old)).rowcount


@app.task(name="tasks.maintenance.erase_deleted_jobs")
def erase_deleted_jobs() -> int:
    """Erase what deleted jobs asked and answered."""
    return deletion.erase_deleted()


@app.task(name="tasks.maintenance.erase_stored_objects")
def erase_stored_objects() -> int:
    """Erase files that were deleted or have expired, and what was never kept."""
    return stored_objects.erase_old()


@app.task(name="tasks.maintenance.validate_batches")
def validate_batches() -> int:
    """Turn the files of new batches into jobs."""
    return batch_validation.validate_waiting()


@app.task(name="tasks.maintenance.feed_batches")
def feed_batches() -> int:
    """Hand lines of batches to the workers that have room."""
    return feeder.feed()


@app.task(name="tasks.maintenance.end_batches")
def end_batches() -> int:
    """End batches that were cancelled, have expired or failed, or are done."""
    return batch_ending.end_due()


@app.task(name="tasks.maintenance.forget_lost_slices")
def forget_lost_slices() -> int:
    """Take lines back whose message the broker has lost."""
    return slices.forget_lost()


@app.task(name="tasks.maintenance.sign_receipts")
def sign_receipts() -> int:
    """Chain and sign the receipts of what was charged."""
    return chain.sign_receipts()


@app.task(name="tasks.maintenance.note_budget_alerts")
def note_budget_alerts() -> int:
    """Note which budgets have reached a threshold."""
    return budget_alerts.note_crossed()


@app.task(name="tasks.maintenance.mail_budget_alerts")
def mail_budget_alerts() -> int:
    """Mail those who want to know of it."""
    return mail.send_due_alerts()


@app.task(name="tasks.maintenance.announce_budget_alerts")
def announce_budget_alerts() -> int:
    """Tell webhook endpoints of it."""
    return budget_announcing.announce_due()


@app.task(name="tasks.maintenance.deliver_webhooks")
def deliver_webhooks() -> int:
    """Send projects the events that are due."""
    webhook_delivery.deliver_due()
    return 0


@app.task(name="tasks.maintenance.forget_webhook_deliveries")
def forget_webhook_deliveries() -> int:
    """Erase deliveries past their time, and deleted endpoints."""
    return webhook_deliveries.forget_old()


@app.task(name="tasks.maintenance.check_ledger")
def check_ledger() -> int:
    """See whether the books are right, every few minutes."""
    watch.check_if_due()
    return 0

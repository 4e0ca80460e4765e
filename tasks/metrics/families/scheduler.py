"""What schedulers export: the platform, as the database has it. Several of them say the same."""

from tasks.metrics.family import SECONDS_OF_A_REQUEST, counter, gauge, histogram

QUEUE_JOBS = gauge("tokenmill_queue_jobs", "Jobs that wait, lines of batches too.", "model", "tier")
QUEUE_OLDEST_SECONDS = gauge(
    "tokenmill_queue_oldest_seconds",
    "Age of the oldest job that waits; 0 without one.",
    "model",
    "tier",
)
RUNNING_JOBS = gauge("tokenmill_running_jobs", "Jobs that a worker has begun.", "model", "tier")
LIVE_WORKERS = gauge("tokenmill_live_workers", "Workers that are alive.", "model")
OUTBOX_JOBS = gauge("tokenmill_outbox_jobs", "Queued jobs that no broker has confirmed.")
OUTBOX_OLDEST_SECONDS = gauge("tokenmill_outbox_oldest_seconds", "Age of the oldest of them; 0 without one.")
WEBHOOK_DUE_DELIVERIES = gauge("tokenmill_webhook_due_deliveries", "Webhooks that are to be sent now.")
WEBHOOK_OLDEST_DUE_SECONDS = gauge(
    "tokenmill_webhook_oldest_due_seconds", "For how long the oldest of them has been due; 0 without one."
)
BATCHES = gauge("tokenmill_batches", "Batches that have not ended.", "status")
HELD_USD = gauge("tokenmill_held_usd", "Held for jobs that have not ended.")
SPENT_THIS_MONTH_USD = gauge("tokenmill_spent_this_month_usd", "Charged and corrected this month (UTC).")
BUDGET_USED_RATIO = gauge(
    "tokenmill_budget_used_ratio",
    "Held and spent of a hard limit: the largest there is of each kind of subject.",
    "subject",
)
LEDGER_CONSERVED = gauge(
    "tokenmill_ledger_conserved", "1 where the ledger, the jobs and the counters agree, or else 0."
)
LEDGER_CHECKED = gauge(
    "tokenmill_ledger_checked_timestamp_seconds", "When that was checked last, as Unix time."
)
DATABASE_READABLE = gauge(
    "tokenmill_database_readable", "1 where the database could be read just now, or else 0."
)
MAINTENANCE_RUNS = counter(
    "tokenmill_maintenance_runs_total",
    "Runs of the timetable's tasks by what became of them.",
    "task",
    "outcome",
)
MAINTENANCE_SECONDS = histogram(
    "tokenmill_maintenance_seconds", "How long such a run took.", "task", bounds=SECONDS_OF_A_REQUEST
)

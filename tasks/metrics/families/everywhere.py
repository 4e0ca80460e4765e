"""What every process exports. Jobs are counted by whichever process commits what becomes of them."""

from tasks.metrics.family import SECONDS_OF_A_JOB, counter, gauge, histogram

BUILD_INFO = gauge("tokenmill_build_info", "Always 1; the label says which version runs.", "version")

JOBS_ADMITTED = counter(
    "tokenmill_jobs_admitted_total", "Jobs that were accepted, lines of batches too.", "model", "tier"
)
JOB_ATTEMPTS = counter(
    "tokenmill_job_attempts_total", "How often a worker began a job, or began it again.", "model", "tier"
)
JOBS_ENDED = counter("tokenmill_jobs_ended_total", "Jobs by how they ended.", "model", "tier", "outcome")
JOB_QUEUE_SECONDS = histogram(
    "tokenmill_job_queue_seconds",
    "From a job's admission until a worker first began it.",
    "model",
    "tier",
    bounds=SECONDS_OF_A_JOB,
)
JOB_SECONDS = histogram(
    "tokenmill_job_seconds",
    "From the admission of a completed job to its end.",
    "model",
    "tier",
    bounds=SECONDS_OF_A_JOB,
)
TOKENS = counter(
    "tokenmill_tokens_total",
    "Tokens that were billed. Input is what was not cached: the three add up.",
    "model",
    "tier",
    "kind",
)
COST_USD = counter("tokenmill_cost_usd_total", "What jobs were charged.", "model", "tier")

DATABASE_POOL_CONNECTIONS = gauge(
    "tokenmill_database_pool_connections", "Connections to Postgres that the process keeps.", "state"
)
CIRCUIT_OPEN = gauge(
    "tokenmill_circuit_open",
    "1 while the process leaves a failing service alone, or else 0.",
    "target",
    across="livemax",
)
LIMIT_STORAGE_ERRORS = counter(
    "tokenmill_limit_storage_errors_total", "How often Redis failed to count a limit."
)

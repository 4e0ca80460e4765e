"""The metrics that the processes export, and the names in a query."""

import re

EXPORTED = frozenset(
    re.findall(
        r"tokenmill_\w+",
        """
        tokenmill_build_info tokenmill_jobs_ended_total tokenmill_job_seconds tokenmill_job_queue_seconds
        tokenmill_job_attempts_total tokenmill_tokens_total tokenmill_cost_usd_total
        tokenmill_database_pool_connections tokenmill_circuit_open tokenmill_http_requests_total
        tokenmill_http_request_seconds tokenmill_http_requests_running tokenmill_streams_open
        tokenmill_jobs_admitted_total tokenmill_limit_refusals_total tokenmill_limit_storage_errors_total
        tokenmill_stream_first_token_seconds tokenmill_engine_steps_total tokenmill_engine_step_seconds
        tokenmill_engine_first_token_seconds tokenmill_engine_inter_token_seconds
        tokenmill_engine_prefill_tokens_total tokenmill_engine_decode_tokens_total
        tokenmill_engine_rows_total tokenmill_engine_running_requests tokenmill_engine_waiting_requests
        tokenmill_engine_slots tokenmill_engine_cache_tokens tokenmill_engine_cache_hit_tokens_total
        tokenmill_engine_cache_lookup_tokens_total tokenmill_engine_cache_evictions_total
        tokenmill_engine_preemptions_total tokenmill_engine_memory_retries_total
        tokenmill_device_utilization_ratio tokenmill_device_memory_used_bytes
        tokenmill_device_memory_total_bytes tokenmill_device_power_watts tokenmill_queue_jobs
        tokenmill_queue_oldest_seconds tokenmill_running_jobs tokenmill_live_workers tokenmill_outbox_jobs
        tokenmill_outbox_oldest_seconds tokenmill_webhook_due_deliveries
        tokenmill_webhook_oldest_due_seconds tokenmill_batches tokenmill_held_usd
        tokenmill_spent_this_month_usd tokenmill_budget_used_ratio tokenmill_ledger_conserved
        tokenmill_ledger_checked_timestamp_seconds tokenmill_database_readable
        tokenmill_maintenance_runs_total tokenmill_maintenance_seconds
        """,
    )
)
HISTOGRAM_SERIES = re.compile(r"_(bucket|sum|count)$")


def exported(series: str) -> bool:
    """Whether there is a metric whose series has that name."""
    return series in EXPORTED or HISTOGRAM_SERIES.sub("", series) in EXPORTED


def series_in(query: str) -> set[str]:
    """Our series that a query reads; what rules have recorded is no metric."""
    return set(re.findall(r"\btokenmill_[a-z0-9_]+\b(?!:)", query))

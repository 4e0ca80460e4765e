"""The metrics that the processes export, and the names in a query."""

import re

EXPORTED = frozenset(
    f"tokenmill_{name}"
    for name in """
    build_info jobs_ended_total job_seconds job_queue_seconds job_attempts_total tokens_total cost_usd_total
    database_pool_connections circuit_open
    http_requests_total http_request_seconds http_requests_running streams_open jobs_admitted_total
    limit_refusals_total limit_storage_errors_total stream_first_token_seconds
    engine_steps_total engine_step_seconds engine_first_token_seconds engine_inter_token_seconds
    engine_prefill_tokens_total engine_decode_tokens_total engine_rows_total engine_running_requests
    engine_waiting_requests engine_slots engine_cache_tokens engine_cache_hit_tokens_total
    engine_cache_lookup_tokens_total engine_cache_evictions_total engine_preemptions_total
    engine_memory_retries_total
    device_utilization_ratio device_memory_used_bytes device_memory_total_bytes device_power_watts
    queue_jobs queue_oldest_seconds running_jobs live_workers outbox_jobs outbox_oldest_seconds
    webhook_due_deliveries webhook_oldest_due_seconds batches held_usd spent_this_month_usd budget_used_ratio
    ledger_conserved ledger_checked_timestamp_seconds database_readable maintenance_runs_total
    maintenance_seconds
    """.split()
)
HISTOGRAM_SERIES = re.compile(r"_(bucket|sum|count)$")


def exported(series: str) -> bool:
    """Whether there is a metric whose series has that name."""
    return series in EXPORTED or HISTOGRAM_SERIES.sub("", series) in EXPORTED


def series_in(query: str) -> set[str]:
    """Our series that a query reads; what rules have recorded is no metric."""
    return set(re.findall(r"\btokenmill_[a-z0-9_]+\b(?!:)", query))

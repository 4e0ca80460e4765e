"""What ended lately: how much, how fast, and how it went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

WINDOWS_MINUTES = (1, 5, 15)
LATENCY_MINUTES = 5
_MOST_JOBS = 50_000
_MOST_ERRORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStatus:
    """Over the last so many minutes. Lines of batches count as jobs; tokens are those that were billed."""

    minutes: int
    jobs_per_minute: float
    input_tokens_per_second: float
    output_tokens_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyStatus:
    """Of the jobs that completed in the last five minutes, without lines of batches; None without any."""

    jobs: int
    queue_seconds_p50: float | None
    queue_seconds_p95: float | None
    end_to_end_seconds_p50: float | None
    end_to_end_seconds_p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficStatus:
    """``errors`` are the commonest codes with their counts, of all that failed or expired in 15 minutes.

    ``lines_per_minute`` are those of batches, by their ids.
    """

    windows: list[WindowStatus]
    latency: LatencyStatus
    errors: dict[str, int]
    lines_per_minute: dict[str, int]


def read_traffic(connection: Connection) -> TrafficStatus:
    """From the newest of the jobs that ended in the last quarter of an hour, up to 50,000 of each model."""
    row = connection.execute(
        _RECENT,
        {
            "minutes": list(WINDOWS_MINUTES),
            "most_jobs": _MOST_JOBS,
            "most_errors": _MOST_ERRORS,
            "latency_seconds": LATENCY_MINUTES * 60,
        },
    ).one()
    return TrafficStatus(
        windows=[_window(one, row.reach_seconds) for one in row.windows],
        latency=_latency(row.latency),
        errors={one["code"]: one["jobs"] for one in row.errors or ()},
        lines_per_minute=row.lines or {},
    )


def _window(found: Mapping[str, Any], reach_seconds: float | None) -> WindowStatus:
    seconds = found["minutes"] * 60.0
    if reach_seconds is not None:
        # More ended than was read, so what was read is of a shorter time.
        seconds = min(seconds, max(reach_seconds, 1.0))
    return WindowStatus(
        minutes=found["minutes"],
        jobs_per_minute=found["jobs"] * 60 / seconds,
        input_tokens_per_second=found["input"] / seconds,
        output_tokens_per_second=found["output"] / seconds,
    )


def _latency(found: Mapping[str, Any]) -> LatencyStatus:
    queue, whole = found["queue"] or (None, None), found["whole"] or (None, None)
    return LatencyStatus(
        jobs=found["jobs"],
        queue_seconds_p50=queue[0],
        queue_seconds_p95=queue[1],
        end_to_end_seconds_p50=whole[0],
        end_to_end_seconds_p95=whole[1],
    )


_RECENT = text("""
    WITH recent AS MATERIALIZED (
        SELECT ended.* FROM models CROSS JOIN LATERAL (
            SELECT model, batch_id, status, error_code,
                coalesce(billed_prompt_tokens, 0) AS input, coalesce(completion_tokens, 0) AS output,
                extract(epoch FROM now() - ended_at)::float AS age,
                extract(epoch FROM started_at - created_at)::float AS queue,
                extract(epoch FROM ended_at - created_at)::float AS whole
            FROM jobs
            WHERE model = models.name AND ended_at > now() - interval '15 minutes'
            ORDER BY ended_at DESC
            LIMIT :most_jobs
        ) AS ended
    ), windows AS (
        SELECT minutes, count(model) AS jobs, coalesce(sum(input), 0) AS input,
            coalesce(sum(output), 0) AS output
        FROM unnest(CAST(:minutes AS integer[])) AS minutes LEFT JOIN recent ON age < minutes * 60
        GROUP BY minutes
    ), latency AS (
        SELECT count(*) AS jobs,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY queue) AS queue,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY whole) AS whole
        FROM recent WHERE status = 'completed' AND batch_id IS NULL AND age < :latency_seconds
    ), errors AS (
        SELECT coalesce(error_code, status) AS code, count(*) AS jobs
        FROM recent WHERE status IN ('failed', 'expired')
        GROUP BY code ORDER BY jobs DESC, code LIMIT :most_errors
    ), lines AS (
        SELECT batch_id, count(*) AS ended FROM recent WHERE batch_id IS NOT NULL AND age < 60
        GROUP BY batch_id
    ), reach AS (
        SELECT min(reach) AS seconds FROM (
            SELECT max(age) AS reach FROM recent GROUP BY model HAVING count(*) >= :most_jobs
        ) AS full_ones
    )
    SELECT (SELECT json_agg(windows ORDER BY minutes) FROM windows) AS windows,
        (SELECT row_to_json(latency) FROM latency) AS latency,
        (SELECT json_agg(errors ORDER BY jobs DESC, code) FROM errors) AS errors,
        (SELECT json_object_agg(batch_id, ended) FROM lines) AS lines,
        (SELECT seconds FROM reach) AS reach_seconds
""")

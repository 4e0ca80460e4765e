"""How fast a model's workers really are, and what still waits for them."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from tasks.db import transaction

_WINDOW = timedelta(hours=6)
_MOST_JOBS = 20_000

# The best minute counts: in the others the workers may have had too little to do.
_RECENT = text("""
    WITH done AS (
        SELECT date_trunc('minute', ended_at) AS minute, started_at, ended_at, completion_tokens,
               billed_prompt_tokens - cached_tokens + completion_tokens AS tokens,
               max_tokens * coalesce((sampling ->> 'best_of')::integer, 1)
                   * coalesce(cardinality(prompt_lengths), 1) AS most_output
        FROM jobs
        WHERE model = :model AND ended_at > now() - :window AND status = 'completed'
          AND started_at IS NOT NULL
        ORDER BY ended_at DESC
        LIMIT :most_jobs
    ), minutes AS (
        SELECT sum(tokens) / greatest(extract(epoch FROM max(ended_at) - min(started_at)), 1) AS rate,
               sum(completion_tokens) AS output, sum(most_output) AS most_output
        FROM done GROUP BY minute
    )
    SELECT max(rate)::float AS rate, coalesce(sum(output)::float / nullif(sum(most_output), 0), 0) AS share
    FROM minutes
""")
_WAITING = text("""
    SELECT coalesce(sum(prompt_tokens), 0) AS prompt,
           coalesce(sum(
               max_tokens * coalesce((sampling ->> 'best_of')::integer, 1)
                   * coalesce(cardinality(prompt_lengths), 1)
           ), 0) AS most_output
    FROM jobs WHERE model = :model AND status IN ('queued', 'in_progress')
""")


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of one model. ``output_share`` is how much of the output that was allowed really came, 0 to 1."""

    tokens_per_second: float
    output_share: float
    waiting_tokens: float

    def seconds_for(self, prompt_tokens: int, most_output_tokens: int) -> float:
        """Until so much more is done, behind everything that waits."""
        own_tokens = prompt_tokens + self.output_share * most_output_tokens
        return (self.waiting_tokens + own_tokens) / self.tokens_per_second


def measure(model: str) -> Throughput | None:
    """From the jobs that ended lately; None where there were none."""
    window = {"model": model, "window": _WINDOW, "most_jobs": _MOST_JOBS}
    with transaction() as connection:
        recent = connection.execute(_RECENT, window).one()
        if not recent.rate:
            return None
        waiting = connection.execute(_WAITING, {"model": model}).one()
    waiting_tokens = float(waiting.prompt) + float(waiting.most_output) * recent.share
    return Throughput(recent.rate, recent.share, waiting_tokens)

"""What becomes of jobs, in numbers."""

from decimal import Decimal
from typing import Any

import pytest

from tasks.metrics import jobs
from tasks.metrics.jobs import Claim, End
from tasks.models import JobStatus
from tests.unit.tasks.metrics.samples import growth

MODEL = "smollm2-135m-instruct"
LABELS = {"model": MODEL, "tier": "default"}


def end(**changes: Any) -> End:
    values: dict[str, Any] = {
        "model": MODEL,
        "tier": "default",
        "outcome": JobStatus.COMPLETED,
        "seconds": 0.3,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 7,
        "cost_usd": Decimal("0.00000125"),
    }
    return End(**values | changes)


def test_completed_job_counts_with_its_time_its_tokens_and_its_cost() -> None:
    with growth() as grown:
        jobs.count_ended([end(), end()])
    assert grown.of("jobs_ended_total", outcome="completed", **LABELS) == 2
    assert grown.of("job_seconds_count", **LABELS) == 2
    assert grown.of("job_seconds_sum", **LABELS) == pytest.approx(0.6)
    assert grown.of("job_seconds_bucket", le="0.25", **LABELS) == 0
    assert grown.of("job_seconds_bucket", le="0.5", **LABELS) == 2
    tokens = {kind: grown.of("tokens_total", kind=kind, **LABELS) for kind in ("input", "cached", "output")}
    assert tokens == {"input": 12, "cached": 8, "output": 14}
    assert grown.of("cost_usd_total", **LABELS) == pytest.approx(0.0000025)


def test_failed_job_counts_as_that_and_nothing_else() -> None:
    failed = end(
        outcome=JobStatus.FAILED, prompt_tokens=0, cached_tokens=0, completion_tokens=0, cost_usd=Decimal(0)
    )
    with growth() as grown:
        jobs.count_ended([failed])
    assert grown.of("jobs_ended_total", outcome="failed", **LABELS) == 1
    assert grown.of("job_seconds_count", **LABELS) == 0
    assert grown.of("cost_usd_total", **LABELS) == 0


def test_wait_in_the_queue_counts_for_the_first_attempt_alone() -> None:
    with growth() as grown:
        jobs.count_claimed([Claim(MODEL, "default", 1, 2.0), Claim(MODEL, "default", 2, 400.0)])
    assert grown.of("job_attempts_total", **LABELS) == 2
    assert grown.of("job_queue_seconds_count", **LABELS) == 1
    assert grown.of("job_queue_seconds_sum", **LABELS) == 2


def test_outcomes_stand_at_0_before_there_is_one() -> None:
    embeds = "all-minilm-l6-v2"
    with growth() as grown:
        jobs.count_claimed([Claim(embeds, "flex", 1, 0.1)])
    for outcome in ("completed", "failed", "cancelled", "expired"):
        assert grown.after.has("jobs_ended_total", model=embeds, tier="flex", outcome=outcome)


def test_names_that_nobody_knows_are_one_series() -> None:
    with growth() as grown:
        for number in range(50):
            jobs.count_ended([end(model=f"gone-{number}", tier=f"tier-{number}")])
            jobs.count_admitted(f'"}}\n{number}', "default")
    assert grown.of("jobs_ended_total", model="other", tier="other", outcome="completed") == 50
    assert grown.of("jobs_admitted_total", model="other", tier="default") == 50
    assert grown.after.labels_of("jobs_admitted_total", "model") <= {MODEL, "all-minilm-l6-v2", "other"}

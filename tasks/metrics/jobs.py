"""What becomes of jobs. Called once it is committed: what is rolled back has not happened."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from tasks.metrics import instruments
from tasks.metrics.families import everywhere as families
from tasks.metrics.labels import model_label, tier_label
from tasks.models import JobStatus

OUTCOMES = tuple(status for status in JobStatus if status.ended)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker begins. ``waited_seconds`` is the time since its admission."""

    model: str
    tier: str
    attempt: int
    waited_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A job that has ended, ``seconds`` after its admission, and what it was billed."""

    model: str
    tier: str
    outcome: JobStatus
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal


def count_admitted(model: str, tier: str, jobs: int = 1) -> None:
    instruments.counter(families.JOBS_ADMITTED).labels(model_label(model), tier_label(tier)).inc(jobs)


def count_claimed(claims: Iterable[Claim]) -> None:
    for claim in claims:
        labels = model_label(claim.model), tier_label(claim.tier)
        instruments.counter(families.JOB_ATTEMPTS).labels(*labels).inc()
        if claim.attempt == 1:
            instruments.histogram(families.JOB_QUEUE_SECONDS).labels(*labels).observe(claim.waited_seconds)
        # At 0 from the beginning: that a series appears is no increase.
        for outcome in OUTCOMES:
            instruments.counter(families.JOBS_ENDED).labels(*labels, outcome.value)


def count_ended(ends: Iterable[End]) -> None:
    for end in ends:
        labels = model_label(end.model), tier_label(end.tier)
        instruments.counter(families.JOBS_ENDED).labels(*labels, end.outcome.value).inc()
        if end.outcome is JobStatus.COMPLETED:
            instruments.histogram(families.JOB_SECONDS).labels(*labels).observe(end.seconds)
        if end.prompt_tokens or end.completion_tokens:
            _count_bill(end, labels)


def _count_bill(end: End, labels: tuple[str, str]) -> None:
    tokens = instruments.counter(families.TOKENS)
    tokens.labels(*labels, "input").inc(end.prompt_tokens - end.cached_tokens)
    tokens.labels(*labels, "cached").inc(end.cached_tokens)
    tokens.labels(*labels, "output").inc(end.completion_tokens)
    instruments.counter(families.COST_USD).labels(*labels).inc(float(end.cost_usd))

"""Limits as a job meets them: what it takes when it is admitted, and gives back when it ends.

A job takes its prompt and all that it may generate: more than that can't come of it, so however many
jobs run at once, what they generate in the end stays within the limit. What it did not generate is
given back to the same window when it ends. Lines of batches run when nothing else does; they are
limited by how much of them is queued, and by nothing here.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

from tasks.errors import RateLimitReached
from tasks.job_caps import JobCap
from tasks.jobs import Ending
from tasks.limit import DAY_SECONDS, MINUTE_SECONDS, Charge, Limit, Standing, Unit, refused, standings
from tasks.limit_amounts import Amounts
from tasks.limit_book import limits_of
from tasks.limit_counters import counters
from tasks.plan import JobPlan
from tasks.principal import Principal
from tasks.settings import settings

_WHOLE_PROJECT = "this project"
_KEY = "this API key"


@contextmanager
def counted(principal: Principal, plan: JobPlan, job_id: str) -> Iterator[tuple[Standing, ...]]:
    """Count a job that is admitted inside; where that fails, its tokens are given back.

    Raises RateLimitReached, LimitsUnavailable.
    """
    charges = _charges(principal, plan)
    if not charges:
        yield ()
        return
    fits, counts = counters().take(charges, job_id)
    if not fits:
        raise RateLimitReached(refused(charges, counts))
    try:
        yield standings(charges, counts)
    except Exception:
        settle({job_id: 0})
        raise


def settle(used_tokens: Mapping[str, int]) -> None:
    """Correct what jobs took to what they used; doing so again changes nothing."""
    counters().settle(used_tokens)


def settle_ended(endings: Iterable[Ending], ended: Container[str]) -> None:
    """The same for jobs of which those ``ended`` have ended as said."""
    settle(
        {
            ending.job_id: ending.prompt_tokens + ending.completion_tokens
            for ending in endings
            if ending.job_id in ended
        }
    )


def token_limits_of_key(key_id: str) -> list[Limit]:
    """The limits on tokens that hold whatever model is asked."""
    per_minute, per_day = settings().tokens_per_minute, settings().key_limits.get("tokens_per_day", 0)
    amounts = ((per_minute, MINUTE_SECONDS), (per_day, DAY_SECONDS))
    return [_limit(f"key:{key_id}", _KEY, "tokens", *amount) for amount in amounts if amount[0]]


def caps(principal: Principal, plan: JobPlan) -> tuple[JobCap, ...]:
    """How many jobs beside this one may be unfinished."""
    limits = limits_of(principal.project_id)
    model, tier = plan.spec.name, str(plan.service_tier)
    project_id = principal.project_id
    found = (
        JobCap(
            settings().key_limits.get("concurrent_jobs", 0), _KEY, project_id, key_id=principal.api_key_id
        ),
        JobCap(limits.whole().concurrent_jobs, _WHOLE_PROJECT, project_id),
        JobCap(
            limits.of(model, tier).concurrent_jobs, _model_text(model, tier), project_id, model=(model, tier)
        ),
    )
    return tuple(cap for cap in found if cap.amount)


def _charges(principal: Principal, plan: JobPlan) -> list[Charge]:
    limits = limits_of(principal.project_id)
    project_id, model, tier = principal.project_id, plan.spec.name, str(plan.service_tier)
    found = [
        *token_limits_of_key(principal.api_key_id),
        *_windows(f"project:{project_id}", _WHOLE_PROJECT, limits.whole()),
        *_windows(f"model:{project_id}:{model}:{tier}", _model_text(model, tier), limits.of(model, tier)),
    ]
    tokens = plan.prompt_tokens + plan.most_output_tokens
    return [Charge(limit, tokens if limit.unit == "tokens" else 1) for limit in found]


def _windows(name: str, whose: str, amounts: Amounts) -> Iterator[Limit]:
    windows: tuple[tuple[Unit, int, int], ...] = (
        ("requests", amounts.requests_per_minute, MINUTE_SECONDS),
        ("tokens", amounts.tokens_per_minute, MINUTE_SECONDS),
        ("requests", amounts.requests_per_day, DAY_SECONDS),
        ("tokens", amounts.tokens_per_day, DAY_SECONDS),
    )
    for unit, amount, seconds in windows:
        if amount:
            yield _limit(name, whose, unit, amount, seconds)


def _limit(name: str, whose: str, unit: Unit, amount: int, seconds: int) -> Limit:
    return Limit(name=name, whose=whose, unit=unit, amount=amount, seconds=seconds)


def _model_text(model: str, tier: str) -> str:
    return f"the model {model!r} in this project's {tier} tier"

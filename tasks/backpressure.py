"""Back-pressure: new work is refused, with a time to come back, while what waits already takes too long."""

from tasks import queue_state
from tasks.errors import TokenmillError
from tasks.plan import JobPlan, ServiceTier
from tasks.queue_state import QueueState
from tasks.retry_after import clamped
from tasks.settings import settings

# Where nothing has ended lately, nobody knows.
_UNKNOWN_RETRY_SECONDS = 60


class QueueFull(TokenmillError):
    """More waits already than can be done in time. Try again later."""

    code = "queue_full"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def refusal(plan: JobPlan, expires_in_seconds: float) -> QueueFull | None:
    """Why a job is not to be admitted now: too much waits before it, or so much that it would expire."""
    state, rank = queue_state.of(plan.spec.name), plan.service_tier.rank
    limit_seconds = _limit_seconds(plan.service_tier)
    age_seconds = state.age_seconds(rank)
    wait_seconds = state.wait_seconds(rank) or 0.0
    model, tier = plan.spec.name, plan.service_tier.value
    if limit_seconds and max(age_seconds, wait_seconds) > limit_seconds:
        return QueueFull(
            f"Too many jobs of the model {model!r} wait already for its {tier} tier. Try again later.",
            _retry_seconds(state, rank, limit_seconds),
        )
    if wait_seconds > expires_in_seconds:
        return QueueFull(
            f"So many jobs of the model {model!r} wait already that this one would expire before it began. "
            "Try again later, or give it longer to live.",
            _retry_seconds(state, rank, expires_in_seconds),
        )
    return None


def _limit_seconds(tier: ServiceTier) -> float:
    limits = {
        ServiceTier.PRIORITY: settings().max_queue_seconds_priority,
        ServiceTier.DEFAULT: settings().max_queue_seconds_default,
        ServiceTier.FLEX: settings().max_queue_seconds_flex,
    }
    return limits.get(tier, 0.0)


def _retry_seconds(state: QueueState, rank: int, limit_seconds: float) -> int:
    """When there is room again: an old queue must be done first, a long one only be as long as it may."""
    drain_seconds = state.drain_seconds(rank)
    if drain_seconds is None:
        return _UNKNOWN_RETRY_SECONDS
    too_old = state.age_seconds(rank) > limit_seconds
    return clamped(drain_seconds if too_old else drain_seconds - limit_seconds)

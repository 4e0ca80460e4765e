"""When to ask again: from how fast the queue really drains."""

from tasks import queue_state
from tasks.plan import ServiceTier

_MOST_SECONDS = 120


def seconds(model: str, tier: ServiceTier) -> int:
    """How long a job queued now waits, by the last minute's rate; 1 where nothing is known."""
    return clamped(queue_state.of(model).drain_seconds(tier.rank) or 0)


def clamped(seconds: float) -> int:
    """As a `Retry-After` says it: 1 to 120 s, since clients of OpenAI's ignore longer ones."""
    return max(1, min(_MOST_SECONDS, round(seconds)))

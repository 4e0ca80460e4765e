"""Values of labels: whatever comes from outside, there are only so many."""

from tasks.plan import ServiceTier
from tasks.settings import settings

OTHER = "other"
TIERS = tuple(tier.value for tier in ServiceTier)


def models() -> tuple[str, ...]:
    """Every model that has series of its own."""
    return tuple(settings().model_catalog().models)


def model_label(name: str | None) -> str:
    """The model's name, unless it is none of the catalogue's (any more)."""
    return OTHER if name is None or name not in settings().model_catalog().models else name


def tier_label(name: str) -> str:
    return name if name in TIERS else OTHER

"""A limit: so many requests or tokens in a window of time; and where its counter stands."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["requests", "tokens"]

MINUTE_SECONDS = 60
DAY_SECONDS = 86_400
_PERIODS = {MINUTE_SECONDS: "minute", DAY_SECONDS: "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``name`` is whose counter it is, ``whose`` the same in words for a client. 0 only counts."""

    name: str
    whose: str
    unit: Unit
    amount: int
    seconds: int

    @property
    def counter(self) -> str:
        return f"{self.name}:{self.unit}:{self.seconds}"

    def __str__(self) -> str:
        period = _PERIODS.get(self.seconds, f"{self.seconds} s")
        return f"{self.amount} {self.unit} per {period} of {self.whose}"


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be counted against a limit; 0 only looks."""

    limit: Limit
    cost: int


@dataclass(frozen=True, slots=True)
class Count:
    """A counter: what is used of the present window, and when that ends."""

    used: int
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a limit stands after a request; ``asked`` is what a refused one would have taken."""

    limit: Limit
    used: int
    seconds_left: float
    asked: int = 0
    exceeded: bool = False

    @property
    def remaining(self) -> int:
        return max(0, self.limit.amount - self.used)

    @property
    def never(self) -> bool:
        """Whether no wait would make room for this request."""
        return self.exceeded and self.asked > self.limit.amount


def exceeds(charge: Charge, used: int) -> bool:
    """Whether a charge has no room beside what is used."""
    return 0 < charge.limit.amount < used + charge.cost and charge.cost > 0


def standings(charges: Sequence[Charge], counts: Sequence[Count]) -> tuple[Standing, ...]:
    """Where limits stand after they were charged."""
    return tuple(
        Standing(charge.limit, count.used, count.seconds_left)
        for charge, count in zip(charges, counts, strict=True)
    )


def refused(charges: Sequence[Charge], counts: Sequence[Count]) -> tuple[Standing, ...]:
    """Where limits stand that had no room for all charges, so that none was made."""
    return tuple(
        Standing(charge.limit, count.used, count.seconds_left, charge.cost, exceeds(charge, count.used))
        for charge, count in zip(charges, counts, strict=True)
    )


def tightest(found: Iterable[Standing], unit: Unit) -> Standing | None:
    """The limit that a client will meet first: with the least left, or with the longest to wait."""
    of_unit = (standing for standing in found if standing.limit.unit == unit and standing.limit.amount > 0)
    return min(of_unit, key=lambda standing: (standing.remaining, -standing.seconds_left), default=None)


def decisive(found: Iterable[Standing]) -> Standing | None:
    """The limit that keeps a refused client out for longest."""
    exceeded = [standing for standing in found if standing.exceeded]
    return max(exceeded, key=lambda standing: (standing.never, standing.seconds_left), default=None)


def refusal_text(found: Iterable[Standing]) -> str:
    """What a refused client is told."""
    standing = decisive(found)
    if standing is None:
        return "Too many requests."
    if standing.never:
        return f"The limit is {standing.limit}, and this request alone needs {standing.asked}."
    return (
        f"The limit of {standing.limit} is reached: {standing.used} are used, this request needs "
        f"{standing.asked}. Try again in {math.ceil(standing.seconds_left)} s."
    )

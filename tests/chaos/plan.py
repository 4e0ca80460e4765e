"""What will go wrong in a run and when, drawn from a seed: the same seed is the same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

WEBS = ("web-1", "web-2")
WORKERS = ("worker-1", "worker-2")
SCHEDULERS = ("scheduler-1", "scheduler-2")
PROCESSES = (*WEBS, *WORKERS, *SCHEDULERS)
_LINES = ("broker", "database")


class FaultKind(StrEnum):
    """What can be done to a target."""

    KILL = "kill"
    STOP = "stop"
    FREEZE = "freeze"
    RESTART = "restart"
    CRASH = "crash"
    RESET = "reset"
    SWALLOW = "swallow"
    STALL = "stall"
    FLOOD = "flood"
    REPEAT = "repeat"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to ``target``, ``after_seconds`` from the one before, for ``seconds``."""

    kind: FaultKind
    target: str
    seconds: float
    after_seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class _Card:
    kind: FaultKind
    targets: Sequence[str]
    shortest_seconds: float = 0.0
    longest_seconds: float = 0.0


# Longer than a lease: whoever is frozen wakes up to find that others have taken its work.
_FROZEN = (5.5, 9.0)
_AWAY = (0.5, 3.0)
DECK = (
    _Card(FaultKind.KILL, WEBS),
    _Card(FaultKind.KILL, WORKERS),
    _Card(FaultKind.KILL, WORKERS),
    _Card(FaultKind.KILL, SCHEDULERS),
    _Card(FaultKind.STOP, PROCESSES),
    _Card(FaultKind.FREEZE, WEBS, *_FROZEN),
    _Card(FaultKind.FREEZE, WORKERS, *_FROZEN),
    _Card(FaultKind.FREEZE, SCHEDULERS, *_FROZEN),
    _Card(FaultKind.RESTART, ("broker",), *_AWAY),
    _Card(FaultKind.CRASH, ("broker",), *_AWAY),
    _Card(FaultKind.RESTART, ("database",), *_AWAY),
    _Card(FaultKind.CRASH, ("database",), *_AWAY),
    _Card(FaultKind.CRASH, ("redis",), *_AWAY),
    _Card(FaultKind.RESET, ("broker",)),
    _Card(FaultKind.RESET, ("database",)),
    _Card(FaultKind.SWALLOW, _LINES, 1.0, 4.0),
    _Card(FaultKind.STALL, _LINES, 1.0, 6.0),
    _Card(FaultKind.FLOOD, ("queue",)),
    _Card(FaultKind.REPEAT, ("queue",)),
    _Card(FaultKind.PURGE, ("queue",)),
)
"""Dealt out to the last card before it is shuffled again, so that a short run has a bit of everything."""


def draw_plan(seed: int, faults: int) -> list[Fault]:
    """So many faults, in order."""
    dealer = random.Random(f"plan {seed}")
    plan: list[Fault] = []
    while len(plan) < faults:
        plan += [_draw(dealer, card) for card in dealer.sample(DECK, len(DECK))]
    return plan[:faults]


def _draw(dealer: random.Random, card: _Card) -> Fault:
    return Fault(
        kind=card.kind,
        target=dealer.choice(card.targets),
        seconds=round(dealer.uniform(card.shortest_seconds, card.longest_seconds), 1),
        after_seconds=round(dealer.uniform(0.5, 4.0), 1),
    )

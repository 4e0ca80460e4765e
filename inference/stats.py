"""What the engine counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference.scheduler import Work


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Totals since the start, and what goes on now. The cache is measured in tokens."""

    steps: int
    step_seconds: float
    last_step_seconds: float
    prefill_tokens: int
    decode_tokens: int
    preemptions: int
    running: int
    waiting: int
    slots: int
    cache_tokens: int
    cache_tokens_leased: int


@dataclass(slots=True)
class StepCounters:
    steps: int = 0
    step_seconds: float = 0.0
    last_step_seconds: float = 0.0
    prefill_tokens: int = 0
    decode_tokens: int = 0

    def count(self, work: Sequence[Work], seconds: float) -> None:
        self.steps += 1
        self.step_seconds += seconds
        self.last_step_seconds = seconds
        decoded = sum(item.count == 1 for item in work)
        self.decode_tokens += decoded
        self.prefill_tokens += sum(item.count for item in work) - decoded

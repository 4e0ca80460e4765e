"""What the engine counts, for whoever watches it."""

import threading
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field

from inference.histogram import Histogram, HistogramReading
from inference.request import OutcomeStatus
from inference.scheduler import Work
from inference.sequence import Sequence

SECONDS_OF_A_STEP = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SECONDS_TO_FIRST_TOKEN = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
SECONDS_BETWEEN_TOKENS = SECONDS_OF_A_STEP


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Totals since the start, and what goes on now. The cache is measured in tokens.

    ``rows`` sums how many sequences each step computed: over ``steps`` it is the mean occupancy.
    ``memory_retries`` counts the passes that were made smaller because they ran out of memory.
    ``requests`` counts by terminal status. ``cache_tokens_leased`` are in use and
    ``cache_tokens_retained`` kept for reuse; ``cache_hit_tokens`` of ``cache_lookup_tokens`` that were
    to be computed were found there. Each number is exact; they are read one after the other,
    so two of them may be a step apart.
    """

    steps: int
    step_seconds: float
    last_step_seconds: float
    longest_step_seconds: float
    rows: int
    prefill_tokens: int
    decode_tokens: int
    preemptions: int
    memory_retries: int
    requests: Mapping[OutcomeStatus, int]
    seconds_of_steps: HistogramReading
    seconds_to_first_token: HistogramReading
    seconds_between_tokens: HistogramReading
    running: int
    waiting: int
    slots: int
    cache_tokens: int
    cache_tokens_leased: int
    cache_tokens_retained: int
    cache_hit_tokens: int
    cache_lookup_tokens: int
    cache_evictions: int


@dataclass(slots=True)
class EngineCounters:
    """Written by the engine's thread, so that reading needs no lock."""

    steps: int = 0
    last_step_seconds: float = 0.0
    longest_step_seconds: float = 0.0
    rows: int = 0
    prefill_tokens: int = 0
    decode_tokens: int = 0
    requests: dict[OutcomeStatus, int] = field(default_factory=lambda: dict.fromkeys(OutcomeStatus, 0))
    seconds_of_steps: Histogram = field(default_factory=lambda: Histogram(SECONDS_OF_A_STEP))
    seconds_to_first_token: Histogram = field(default_factory=lambda: Histogram(SECONDS_TO_FIRST_TOKEN))
    seconds_between_tokens: Histogram = field(default_factory=lambda: Histogram(SECONDS_BETWEEN_TOKENS))
    _ending: threading.Lock = field(default_factory=threading.Lock)

    def count_step(self, computed: Items[Work], seconds: float) -> None:
        self.steps += 1
        self.last_step_seconds = seconds
        self.longest_step_seconds = max(seconds, self.longest_step_seconds)
        self.seconds_of_steps.add(seconds)
        decoded = sum(item.count == 1 for item in computed)
        self.rows += len(computed)
        self.decode_tokens += decoded
        self.prefill_tokens += sum(item.count for item in computed) - decoded

    def count_token(self, sequence: Sequence, now: float) -> None:
        """``sequence`` gets a token at ``now``, in ``time.monotonic()`` seconds."""
        if sequence.last_token_at is None:
            self.seconds_to_first_token.add(now - sequence.arrived_at)
            sequence.first_token_at = now
        else:
            self.seconds_between_tokens.add(now - sequence.last_token_at)
        sequence.last_token_at = now

    def count_end(self, status: OutcomeStatus) -> None:
        # Two threads end requests when one of them was stuck and comes back.
        with self._ending:
            self.requests[status] += 1

"""What the encoder counts."""

from dataclasses import dataclass, field

from inference.histogram import Histogram, HistogramReading
from inference.stats import SECONDS_OF_A_STEP


@dataclass(frozen=True, slots=True)
class EncoderStats:
    """Totals since the start, and what goes on now.

    ``waiting`` counts inputs that no step has taken yet, ``running`` the requests that have not ended.
    """

    steps: int
    step_seconds: float
    last_step_seconds: float
    seconds_of_steps: HistogramReading
    inputs: int
    tokens: int
    waiting: int
    running: int


@dataclass(slots=True)
class EncoderCounters:
    """Written by the encoder's thread, so that reading needs no lock."""

    steps: int = 0
    last_step_seconds: float = 0.0
    seconds_of_steps: Histogram = field(default_factory=lambda: Histogram(SECONDS_OF_A_STEP))
    inputs: int = 0
    tokens: int = 0

    def count(self, inputs: int, tokens: int, seconds: float) -> None:
        self.steps += 1
        self.last_step_seconds = seconds
        self.seconds_of_steps.add(seconds)
        self.inputs += inputs
        self.tokens += tokens

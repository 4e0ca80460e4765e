"""What goes into the engine and what comes out: torch-free, so every process may speak of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a completed generation ended, in the words of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"


class OutcomeStatus(StrEnum):
    """The one terminal state of a generation."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen. ``temperature`` 0 is greedy; ``seed`` makes sampling repeatable."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt to continue.

    ``generated_token_ids`` are tokens an earlier attempt already produced: the engine goes on
    after them as if it had just sampled them itself, and counts them in the usage.
    ``deadline_seconds`` is a ``time.monotonic()`` value after which the request expires.
    """

    request_id: str
    prompt_token_ids: tuple[int, ...]
    params: SamplingParams
    generated_token_ids: tuple[int, ...] = ()
    priority: int = 0
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the engine saw them; ``cached_tokens`` of the prompt needed no prefill."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """Tokens just sampled, with the text they completed ("" while inside a character or a possible stop)."""

    token_ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The terminal event, sent exactly once. ``text`` ends before a stop string that matched.

    ``token_ids`` holds every sampled token (``len(token_ids) == usage.completion_tokens``), also
    the end-of-text token and those of a matched stop string, which ``text`` leaves out.
    """

    status: OutcomeStatus
    token_ids: tuple[int, ...]
    text: str
    usage: Usage
    finish_reason: FinishReason | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A consistent look at a generation in flight, fit for a checkpoint."""

    token_ids: tuple[int, ...] = field(default=())
    text: str = ""


Listener = Callable[[TokenEvent | Outcome], None]

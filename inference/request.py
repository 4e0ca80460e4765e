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


class GrammarKind(StrEnum):
    """What the source of a grammar is written in."""

    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"
    REGEX = "regex"
    CHOICE = "choice"
    LARK = "lark"


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the output must match, from its first token to its end.

    ``source`` is the JSON text of a schema, a regular expression, a JSON list of strings to choose
    from, or a Lark grammar; "" for a JSON object of any shape.
    """

    kind: GrammarKind
    source: str = ""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen and where the output ends.

    ``temperature`` 0 is greedy; ``seed`` makes sampling repeatable. ``top_k`` 0, ``top_p`` 1,
    ``min_p`` 0 and ``typical_p`` 1 keep every token. ``repetition_penalty`` divides (over 1) the
    logits of tokens in the prompt or the output; ``frequency_penalty`` and ``presence_penalty`` are
    taken off per occurrence, and once, of tokens in the output. ``logit_bias`` pairs token ids with
    what is added to their logits; ``bad_words`` are token sequences that are never completed. Before
    ``min_tokens`` neither end-of-text nor ``stop`` nor ``stop_token_ids`` end the output.
    ``logprobs`` asks for each output token's log-probability and for that many alternatives (0 to
    20), ``prompt_logprobs`` the same for the prompt. Both are the model's own, before any of the
    above. ``max_tokens`` may be 0 only with ``prompt_logprobs``.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top_k: int = 0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    bad_words: tuple[tuple[int, ...], ...] = ()
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    grammar: Grammar | None = None


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
class TokenLogprob:
    """Natural log-probabilities of a token and of the likeliest in its place, likeliest first."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """Tokens just sampled, with the text they completed ("" while inside a character or a possible stop).

    ``logprobs`` has one entry per token where the request asked for them.
    """

    token_ids: tuple[int, ...]
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """When a generation came where, in ``time.monotonic()`` seconds; None for where it never came.

    ``started_at`` is when it first had a place among those that run.
    """

    arrived_at: float
    started_at: float | None
    first_token_at: float | None
    ended_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The terminal event, sent exactly once. ``text`` ends before a stop string that matched.

    ``token_ids`` holds every sampled token (``len(token_ids) == usage.completion_tokens``), also
    the end-of-text token and those of a matched stop string, which ``text`` leaves out. Where asked
    for, ``logprobs`` has an entry per sampled token (of this attempt) and ``prompt_logprobs`` one per
    prompt token, the first of which is None: nothing comes before it.
    """

    status: OutcomeStatus
    token_ids: tuple[int, ...]
    text: str
    usage: Usage
    finish_reason: FinishReason | None = None
    error: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[TokenLogprob | None, ...] = ()
    timing: Timing | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """A consistent look at a generation in flight, fit for a checkpoint.

    ``logprobs`` are those of the last tokens: of all that this attempt sampled, where asked for.
    """

    token_ids: tuple[int, ...] = field(default=())
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


Listener = Callable[[TokenEvent | Outcome], None]

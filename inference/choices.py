"""Several outputs for one prompt. Torch-free."""

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from inference.errors import InvalidGeneration
from inference.request import (
    GenerationRequest,
    Listener,
    Outcome,
    OutcomeStatus,
    Progress,
    SamplingParams,
    TokenEvent,
    Usage,
)

MAX_CHOICES = 20
SEED_BITS = 63

ChoiceListener = Callable[[int, TokenEvent | Outcome], None]


class Running(Protocol):
    """A submitted request, as the engine hands it out."""

    def cancel(self) -> None: ...

    def wait(self, timeout_seconds: float | None = None) -> Outcome | None: ...

    def progress(self) -> Progress: ...


class Submits(Protocol):
    """What is needed of an engine."""

    def submit(self, request: GenerationRequest, listener: Listener | None = None) -> Running: ...


class Choices:
    """The outputs asked for, as one. Any thread may use it."""

    def __init__(self, params: SamplingParams, n: int, best_of: int, listener: ChoiceListener | None) -> None:
        self._params = params
        self._n = n
        self._best_of = best_of
        self._listener = listener
        self._running: list[Running] = []
        self._outcomes: dict[int, Outcome] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def cancel(self) -> None:
        """End all of them at the next step with what they have; does nothing to those that have ended."""
        for running in self._running:
            running.cancel()

    def wait(self, timeout_seconds: float | None = None) -> list[Outcome] | None:
        """Block until all have ended; None when the time is up first.

        ``n`` outcomes: in the order of their indices, or with a larger ``best_of`` the best first.
        """
        return self._chosen() if self._ended.wait(timeout_seconds) else None

    def progress(self) -> list[Progress]:
        """The tokens and the text up to now of each of the ``best_of``, in the order of their indices."""
        return [running.progress() for running in self._running]

    def usage(self) -> Usage:
        """What those that have ended used, the ones not chosen included."""
        return sum_usage(outcome.usage for _, outcome in sorted(self._outcomes.items()))

    def submit(
        self, engine: Submits, request: GenerationRequest, generated: Sequence[tuple[int, ...]]
    ) -> None:
        """Submit all or, where the engine refuses one, none. Raises what the engine raises."""
        try:
            for index in range(self._best_of):
                choice = _choice_request(request, index, rank=self._ranks)
                if generated:
                    choice = replace(choice, generated_token_ids=generated[index])
                self._running.append(engine.submit(choice, partial(self._receive, index)))
        except BaseException:
            # The caller gets the error instead of terminal events.
            self._listener = None
            self.cancel()
            raise

    @property
    def _ranks(self) -> bool:
        return self._best_of > self._n

    def _receive(self, index: int, event: TokenEvent | Outcome) -> None:
        if isinstance(event, TokenEvent):
            self._tell(index, event)
            return
        with self._lock:
            self._outcomes[index] = event
            last = len(self._outcomes) == self._best_of
        try:
            if not self._ranks:
                self._tell(index, event)
            elif last:
                self._tell_chosen()
        finally:
            if last:
                self._ended.set()

    def _tell(self, index: int, event: TokenEvent | Outcome) -> None:
        listener = self._listener
        if listener is not None and not (self._ranks and isinstance(event, TokenEvent)):
            listener(index, event)

    def _tell_chosen(self) -> None:
        for place, outcome in enumerate(self._chosen()):
            self._tell(place, outcome)

    def _chosen(self) -> list[Outcome]:
        outcomes = [self._outcomes[index] for index in range(self._best_of)]
        if not self._ranks:
            return outcomes
        best = sorted(outcomes, key=_rank)[: self._n]
        return best if self._params.logprobs is not None else [replace(one, logprobs=()) for one in best]


def submit_choices(
    engine: Submits,
    request: GenerationRequest,
    n: int,
    best_of: int | None = None,
    listener: ChoiceListener | None = None,
    generated: Sequence[tuple[int, ...]] = (),
) -> Choices:
    """Generate ``best_of`` (or else ``n``) outputs for one prompt and keep ``n``.

    With ``best_of`` above ``n`` those with the highest mean log-probability per token are kept, whole
    outputs before ones that were cut off. ``listener`` is called on the engine's thread with the index
    of a choice and its event, in that case only with the chosen ones' outcomes, at the end. Each choice
    has exactly one terminal event; where this raises, there is none. ``generated`` are the tokens that
    an earlier attempt produced of each, unless the best are to be chosen: that needs the log-probability
    of every token. Raises InvalidGeneration, and what the engine raises.
    """
    best_of = n if best_of is None else best_of
    _check(request, n, best_of, generated)
    choices = Choices(request.params, n, best_of, listener)
    choices.submit(engine, request, generated)
    return choices


def choice_seed(seed: int, index: int) -> int:
    """The seed of choice ``index``: the request's own for the first, a number of 63 bits for the others.

    Theirs are the first 8 bytes, big-endian and without the highest bit, of BLAKE2b over the decimal
    text "SEED:INDEX": as good as independent, and the same everywhere.
    """
    if index == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) & ((1 << SEED_BITS) - 1)


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """The prompt once, every output's tokens: as the OpenAI API counts choices.

    Of the prompt as much counts as cached as was for the one that found least: the others may have
    found what that one computed. Those that never ran found nothing.
    """
    listed = list(usages)
    found = [usage.cached_tokens for usage in listed if usage.completion_tokens]
    return Usage(
        prompt_tokens=max((usage.prompt_tokens for usage in listed), default=0),
        cached_tokens=min(found, default=0),
        completion_tokens=sum(usage.completion_tokens for usage in listed),
    )


def _check(request: GenerationRequest, n: int, best_of: int, generated: Sequence[tuple[int, ...]]) -> None:
    if type(n) is not int or not 1 <= n <= MAX_CHOICES:
        raise InvalidGeneration(f"n must be a whole number from 1 to {MAX_CHOICES}.")
    if type(best_of) is not int or not n <= best_of <= MAX_CHOICES:
        raise InvalidGeneration(f"best_of must be a whole number from n to {MAX_CHOICES}.")
    if best_of > 1 and request.generated_token_ids:
        raise InvalidGeneration("generated_token_ids belong to one output; with n or best_of there are more.")
    if generated and (best_of > n or len(generated) != n):
        raise InvalidGeneration("generated must have the tokens of each of n outputs, and no more.")


def _choice_request(request: GenerationRequest, index: int, *, rank: bool) -> GenerationRequest:
    params = replace(request.params, seed=choice_seed(request.params.seed, index))
    if rank and params.logprobs is None:
        params = replace(params, logprobs=0)
    return replace(request, request_id=f"{request.request_id}:{index}", params=params)


def _rank(outcome: Outcome) -> tuple[bool, float]:
    cut_off = outcome.status is not OutcomeStatus.COMPLETED
    if not outcome.logprobs:
        return cut_off, math.inf
    return cut_off, -math.fsum(token.logprob for token in outcome.logprobs) / len(outcome.logprobs)

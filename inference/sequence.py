"""A request in flight: its tokens, its text, its place in the cache, and its one end."""

import logging
import threading
import time
from collections.abc import Sequence as Items

from inference.arena import Lease
from inference.errors import InferenceError, InvalidGeneration, ListenerFailed
from inference.request import (
    FinishReason,
    GenerationRequest,
    Listener,
    Outcome,
    OutcomeStatus,
    Progress,
    Timing,
    TokenEvent,
    TokenLogprob,
    Usage,
)
from inference.sampling.state import SamplingState, TokenMatcher
from inference.spans import Span
from inference.transcript import Transcript

logger = logging.getLogger(__name__)


class Sequence:
    """The engine's state of one request.

    Only the engine's thread changes it; ``progress``, ``wait`` and ``cancel_requested`` are for any
    thread. ``tokens`` are the prompt and everything generated; ``computed`` counts those whose keys and
    values are in the cache, ``cached_tokens`` those of the prompt that were there to begin with. The
    first ``offset`` tokens are in ``shared`` spans of the cache, all others in its own lease;
    ``preempted`` is whether it has ever had to make way. ``prompt_logprobs`` has an entry per prompt
    token scored up to now, where they were asked for. ``arrived_at``, ``started_at``, ``first_token_at``
    and ``last_token_at`` are ``time.monotonic()`` seconds. Raises InvalidGeneration when the grammar does
    not allow the tokens generated before.
    """

    def __init__(
        self,
        request: GenerationRequest,
        order: int,
        eos_token_ids: frozenset[int],
        token_bytes: Items[bytes],
        listener: Listener | None = None,
        matcher: TokenMatcher | None = None,
    ) -> None:
        self.request = request
        self.rank = (-request.priority, order)
        self.tokens = list(request.prompt_token_ids)
        self.computed = 0
        self.cached_tokens = 0
        self.lease: Lease | None = None
        self.sampling = SamplingState(request.params, request.prompt_token_ids, eos_token_ids, matcher)
        self.prompt_logprobs: list[TokenLogprob | None] = []
        if request.params.prompt_logprobs is not None:
            self.prompt_logprobs.append(None)
        self.shared: tuple[Span, ...] = ()
        self.offset = 0
        self.preempted = False
        self.outcome: Outcome | None = None
        self.arrived_at = time.monotonic()
        self.started_at: float | None = None
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None
        self._transcript = Transcript(request.params, eos_token_ids, token_bytes)
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._listener = listener
        self._lock = threading.Lock()
        self._ending = False
        self._ended = threading.Event()
        self._replay(request.generated_token_ids)

    @property
    def prompt_length(self) -> int:
        return len(self.request.prompt_token_ids)

    @property
    def generated(self) -> int:
        """How many tokens have been generated, those of earlier attempts included."""
        return len(self.tokens) - self.prompt_length

    @property
    def pending(self) -> int:
        """How many tokens have to go through the model before the next can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def final_length(self) -> int:
        """Prompt and output tokens at most."""
        return self.prompt_length + self.request.params.max_tokens

    @property
    def output_ended(self) -> bool:
        """Whether no token is to be sampled any more."""
        return self._end_of_output is not None

    @property
    def _end_of_output(self) -> FinishReason | None:
        """What ends the output, which with prompt_logprobs may be known before the prompt is computed."""
        return FinishReason.STOP if self.sampling.grammar_ended else self._transcript.finish_reason

    @property
    def needs_every_prompt_token(self) -> bool:
        """Whether the model's output is wanted for prompt tokens, so that none may come from a cache."""
        return self.request.params.prompt_logprobs is not None and (
            len(self.prompt_logprobs) < self.prompt_length
        )

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it is complete; None while there is anything left to compute."""
        return None if self.needs_every_prompt_token else self._end_of_output

    def append(self, token_id: int, logprob: TokenLogprob | None = None) -> None:
        """Take a sampled token and tell the listener.

        Raises ListenerFailed, whatever the listener raises, and InferenceError when the grammar fails.
        """
        logprobs = () if logprob is None else (logprob,)
        text = self._take(token_id, logprobs)
        self._tell(TokenEvent((token_id,), text, logprobs))

    def end(self, status: OutcomeStatus, error: str | None = None) -> bool:
        """The terminal event, from any thread; False, and nothing happens, from the second call on."""
        with self._lock:
            if self._ending:
                return False
            self._ending = True
        if status in (OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED):
            self._pass_on_held_text()
        progress = self.progress()
        self.outcome = Outcome(
            status=status,
            token_ids=progress.token_ids,
            text=progress.text,
            usage=Usage(self.prompt_length, self.cached_tokens, len(progress.token_ids)),
            finish_reason=self.finish_reason if status is OutcomeStatus.COMPLETED else None,
            error=error,
            logprobs=progress.logprobs,
            prompt_logprobs=tuple(self.prompt_logprobs),
            timing=Timing(self.arrived_at, self.started_at, self.first_token_at, time.monotonic()),
        )
        self._notify(self.outcome)
        self._ended.set()
        return True

    def wait(self, timeout_seconds: float | None) -> Outcome | None:
        self._ended.wait(timeout_seconds)
        return self.outcome if self._ended.is_set() else None

    def progress(self) -> Progress:
        with self._lock:
            return Progress(
                tuple(self.tokens[self.prompt_length :]), "".join(self._text), tuple(self._logprobs)
            )

    def _replay(self, token_ids: Items[int]) -> None:
        for token_id in token_ids:
            if self.output_ended:
                return
            try:
                self._take(token_id)
            except InferenceError as error:
                raise InvalidGeneration(f"generated_token_ids can't be gone on from: {error}") from error

    def _take(self, token_id: int, logprobs: tuple[TokenLogprob, ...] = ()) -> str:
        """Add a token; returns the text that is certain now. Raises InferenceError."""
        if not self._transcript.ends_with(token_id):
            self.sampling.advance(token_id)
        text = self._transcript.push(token_id)
        if self.sampling.grammar_ended:
            text += self._transcript.flush()
        with self._lock:
            self.tokens.append(token_id)
            self._text.append(text)
            self._logprobs += logprobs
        return text

    def _pass_on_held_text(self) -> None:
        held = self._transcript.flush()
        if held:
            with self._lock:
                self._text.append(held)
            self._notify(TokenEvent((), held))

    def _notify(self, event: TokenEvent | Outcome) -> None:
        try:
            self._tell(event)
        except ListenerFailed:
            logger.exception(
                "listener failed", extra={"action": "listener_failed", "request_id": self.request.request_id}
            )

    def _tell(self, event: TokenEvent | Outcome) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except BaseException as error:
            # SystemExit, or asyncio's CancelledError, would end the engine and everybody's requests.
            raise ListenerFailed(str(error) or type(error).__name__) from error

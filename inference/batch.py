"""Everything in flight, one step after the other. Only the engine's thread may use it."""

import logging
import time
from collections.abc import Callable
from itertools import count

from inference.cache import KeyValueCache
from inference.deadlines import Deadlines
from inference.grammar import GrammarCompiler
from inference.loader import LoadedModel
from inference.prefix_cache import PrefixCache
from inference.recovery import Recovery
from inference.request import GenerationRequest, Listener, OutcomeStatus, SamplingParams
from inference.runner import ModelRunner, Sampled
from inference.sampling.sampler import NoChoice
from inference.scheduler import Scheduler, Work
from inference.sequence import Sequence
from inference.stats import EngineCounters, EngineStats
from inference.step_limit import StepLimit

logger = logging.getLogger(__name__)


class Batch:
    """The requests that run and those that wait, over one model and one cache.

    ``beat`` is called with the number of rows before and after each pass through the model, and may
    raise to end it all.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        slots: int,
        max_batch_tokens: int,
        kv_budget_bytes: int | None,
        beat: Callable[[int], None],
    ) -> None:
        self._loaded = loaded
        self._slots = slots
        self._beat = beat
        self._cache = KeyValueCache(
            loaded.layers,
            context_length=loaded.context_length,
            slots=slots,
            dtype=loaded.model.dtype,
            device=loaded.device,
            budget_bytes=kv_budget_bytes,
        )
        self._prefixes = PrefixCache(
            self._cache.arena,
            self._cache,
            retained_limit=self._cache.retained_limit,
            may_share=self._cache.may_share,
        )
        self._scheduler = Scheduler(self._prefixes, slots, max_batch_tokens)
        self._limit = StepLimit(max_batch_tokens)
        self._runner = ModelRunner(loaded.model, self._cache)
        self._recovery = Recovery(
            self._runner.run, self._scheduler.note_computed, self._make_room, self._probe, self._limit
        )
        self._deadlines: Deadlines[Sequence] = Deadlines()
        self._counters = EngineCounters()
        self._grammars = GrammarCompiler(loaded.renderer.token_bytes, loaded.vocab_size, loaded.eos_token_ids)
        self._order = count()

    @property
    def max_context(self) -> int:
        """Prompt and output tokens that a request may have together."""
        return self._cache.max_length

    @property
    def idle(self) -> bool:
        return self._scheduler.idle

    @property
    def running(self) -> int:
        return len(self._scheduler.running)

    def make_sequence(self, request: GenerationRequest, listener: Listener | None = None) -> Sequence:
        """The state of a request; any thread. What is made first goes first among equals.

        Raises InvalidGeneration for a grammar that can't be compiled, or not be followed by what was
        generated before.
        """
        loaded, grammar = self._loaded, request.params.grammar
        return Sequence(
            request,
            next(self._order),
            loaded.eos_token_ids,
            loaded.renderer.token_bytes,
            listener,
            matcher=self._grammars.matcher(grammar) if grammar else None,
        )

    def add(self, sequence: Sequence) -> None:
        if sequence.finish_reason is not None:
            self.end(sequence, OutcomeStatus.COMPLETED)
        else:
            self._scheduler.add(sequence)
            self._deadlines.add(sequence)

    def end(self, sequence: Sequence, status: OutcomeStatus, error: str | None = None) -> None:
        """Take it out and send its terminal event, unless it has had that."""
        try:
            self._scheduler.discard(sequence, keep=status is not OutcomeStatus.FAILED)
        finally:
            self.send_end(sequence, status, error)

    def send_end(self, sequence: Sequence, status: OutcomeStatus, error: str | None = None) -> None:
        """Send the terminal event only; any thread."""
        if sequence.end(status, error):
            self._counters.count_end(status)

    def let_go_of_cache(self) -> None:
        """Touch its memory no more, which may be what failed: what ends from now on is just freed."""
        self._prefixes.segments.close()

    def all_sequences(self) -> list[Sequence]:
        return self._scheduler.all_sequences()

    def step(self) -> None:
        """Compute the next tokens and hand them on. Raises when nothing can be computed any more."""
        for sequence in self._deadlines.pop_expired(time.monotonic()):
            self.end(sequence, OutcomeStatus.EXPIRED)
        self._scheduler.max_batch_tokens = self._limit.tokens
        work = self._scheduler.schedule()
        if not work:
            return
        started = time.monotonic()
        self._beat(len(work))
        result = self._recovery.compute(work)
        self._beat(len(work))
        for sequence, error in result.failed:
            self._fail(sequence, error)
        now = time.monotonic()
        for sampled in result.sampled:
            self._deliver(sampled, now)
        self._counters.count_step(result.computed, time.monotonic() - started)

    def forget(self) -> None:
        """As if nothing had run yet: what ended is found no more and counts for nothing."""
        self._prefixes.forget()
        self._counters = EngineCounters()
        self._prefixes.hit_tokens = self._prefixes.lookup_tokens = 0

    def stats(self) -> EngineStats:
        """Counters and a look at the queue; any thread."""
        counters, scheduler, prefixes = self._counters, self._scheduler, self._prefixes
        steps = counters.seconds_of_steps.read()
        return EngineStats(
            steps=counters.steps,
            step_seconds=steps.total,
            last_step_seconds=counters.last_step_seconds,
            longest_step_seconds=counters.longest_step_seconds,
            rows=counters.rows,
            prefill_tokens=counters.prefill_tokens,
            decode_tokens=counters.decode_tokens,
            preemptions=scheduler.preemptions,
            memory_retries=self._recovery.memory_retries,
            requests=dict(counters.requests),
            seconds_of_steps=steps,
            seconds_to_first_token=counters.seconds_to_first_token.read(),
            seconds_between_tokens=counters.seconds_between_tokens.read(),
            running=len(scheduler.running),
            waiting=scheduler.waiting,
            slots=self._slots,
            cache_tokens=self._cache.arena.capacity,
            cache_tokens_leased=prefixes.segments.live_tokens,
            cache_tokens_retained=prefixes.segments.retained_tokens,
            cache_hit_tokens=prefixes.hit_tokens,
            cache_lookup_tokens=prefixes.lookup_tokens,
            cache_evictions=prefixes.segments.evictions,
        )

    def _deliver(self, sampled: Sampled, now: float) -> None:
        sequence = sampled.work.sequence
        if isinstance(sampled.choice, NoChoice):
            self._fail(sequence, sampled.choice.reason)
            return
        sequence.prompt_logprobs += sampled.prompt_logprobs
        try:
            if sampled.choice is not None:
                self._counters.count_token(sequence, now)
                sequence.append(*sampled.choice)
        except Exception as error:
            logger.exception(
                "request failed",
                extra={"action": "request_failed", "request_id": sequence.request.request_id},
            )
            self._fail(sequence, f"its result could not be handed on: {error}")
            return
        if sequence.finish_reason is not None:
            self.end(sequence, OutcomeStatus.COMPLETED)

    def _fail(self, sequence: Sequence, error: str) -> None:
        self.end(sequence, OutcomeStatus.FAILED, error)

    def _probe(self) -> None:
        """Raises when the model fails on a request that can't be at fault."""
        probe = self.make_sequence(GenerationRequest("probe", (0,), SamplingParams(max_tokens=1)))
        while (lease := self._prefixes.segments.allocate(1)) is None:
            if not self._make_room(probe):
                raise RuntimeError("no space in the cache though nothing runs")
        try:
            self._runner.run([Work(probe, lease, 1)])
        finally:
            self._prefixes.segments.free(lease)

    def _make_room(self, keep: Sequence) -> bool:
        """Displace the worse-ranked half of the others; False when there are none."""
        others = sorted(
            (sequence for sequence in self._scheduler.running if sequence is not keep),
            key=lambda sequence: sequence.rank,
        )
        for sequence in others[len(others) // 2 :]:
            self._scheduler.preempt(sequence)
        return bool(others)

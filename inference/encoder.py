"""The encoder: one thread that makes vectors of all requests' inputs, packed into shared steps."""

import itertools
import logging
import threading
import time

from inference.deadlines import Deadlines
from inference.embedding import Embedding
from inference.embedding_pending import PendingEmbedding
from inference.embedding_queue import EmbeddingQueue
from inference.embedding_request import EmbeddingListener, EmbeddingRequest
from inference.embedding_validation import validate_embedding
from inference.encoder_loader import LoadedEncoder
from inference.encoder_runner import Computed, EncoderRunner
from inference.encoder_stats import EncoderCounters, EncoderStats
from inference.fatal import OnFatal, tell_fatal
from inference.inbox import Inbox, Message
from inference.loader import use_available_cores
from inference.request import OutcomeStatus

logger = logging.getLogger(__name__)

BATCH_TOKENS = {"cpu": 512, "cuda": 16_384}
"""Tokens of a step where none are given: more make it longer, not faster."""


class Encoder:
    """Packed batches of inputs over a loaded embedding model, with the interface of the engine.

    The vector of an input depends on the input alone, up to rounding. ``max_batch_tokens`` bounds the
    tokens of one step (and so its time); None is what suits the device. ``on_fatal`` is called, on
    the encoder's thread, when it can't go on. Only when it has returned does every request end as
    failed: a process that ends in it leaves its requests unanswered, for somebody else to run.
    """

    def __init__(
        self,
        loaded: LoadedEncoder,
        *,
        max_batch_tokens: int | None = None,
        on_fatal: OnFatal | None = None,
    ) -> None:
        self._loaded = loaded
        self._max_batch_tokens = max_batch_tokens or BATCH_TOKENS.get(loaded.device.type, BATCH_TOKENS["cpu"])
        self._on_fatal = on_fatal
        self._runner = EncoderRunner(loaded)
        self._queue = EmbeddingQueue()
        self._running: set[PendingEmbedding] = set()
        self._counters = EncoderCounters()
        self._deadlines: Deadlines[PendingEmbedding] = Deadlines()
        self._order = itertools.count()
        self._inbox: Inbox[PendingEmbedding] = Inbox()
        self._thread: threading.Thread | None = None

    @property
    def max_tokens(self) -> int:
        """The longest input, special tokens included."""
        return self._loaded.max_tokens

    def warm_up(self) -> None:
        """Run a few inputs on the calling thread, before ``start``. Raises what the model raises."""
        if self._thread is not None:
            raise RuntimeError("the encoder warms up before it starts")
        self._runner.warm_up()

    def start(self) -> None:
        """Warm up, then start the encoder's thread. Returns when it is ready for requests."""
        self.warm_up()
        self._thread = threading.Thread(target=self._run, name="tokenmill-encoder", daemon=True)
        self._thread.start()

    def submit(self, request: EmbeddingRequest, listener: EmbeddingListener | None = None) -> Embedding:
        """Queue a request; any thread. ``listener`` is called on the encoder's thread: it must be quick.

        Raises InvalidGeneration, EngineStopped.
        """
        loaded = self._loaded
        validate_embedding(
            request,
            max_tokens=self.max_tokens,
            vocab_size=loaded.vocab_size,
            width=loaded.shape.width,
            matryoshka=loaded.spec.matryoshka,
        )
        normalize = loaded.config.normalize if request.normalize is None else request.normalize
        pending = PendingEmbedding(
            request, next(self._order), width=loaded.shape.width, normalize=normalize, listener=listener
        )
        self._inbox.submit(pending)
        return Embedding(pending, self._inbox.cancel)

    def stop(self) -> None:
        """End every request as cancelled and stop the thread. Any number of calls."""
        self._inbox.close()
        if self._thread is None:
            self._run()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def stats(self) -> EncoderStats:
        """Counters and a look at the queue; any thread."""
        steps = self._counters.seconds_of_steps.read()
        return EncoderStats(
            steps=self._counters.steps,
            step_seconds=steps.total,
            last_step_seconds=self._counters.last_step_seconds,
            seconds_of_steps=steps,
            inputs=self._counters.inputs,
            tokens=self._counters.tokens,
            waiting=len(self._queue),
            running=len(self._running) + self._inbox.waiting,
        )

    def _run(self) -> None:
        use_available_cores()
        try:
            while self._take_messages():
                self._step()
        except BaseException as error:
            logger.exception("encoder failed", extra={"action": "encoder_failed"})
            self._inbox.close()
            tell_fatal(self._on_fatal, error)
            self._end_everything(OutcomeStatus.FAILED, f"the encoder failed: {error}")
        else:
            self._end_everything(OutcomeStatus.CANCELLED)

    def _take_messages(self) -> bool:
        """Take in what other threads sent, waiting for it when there is nothing to run; False to stop."""
        while not self._queue or not self._inbox.empty:
            message, pending = self._inbox.get()
            if message is Message.STOP or pending is None:
                return False
            if message is Message.CANCEL:
                self._end(pending, OutcomeStatus.CANCELLED)
            else:
                self._receive(pending)
        return True

    def _receive(self, pending: PendingEmbedding) -> None:
        self._running.add(pending)
        self._deadlines.add(pending)
        for item in pending.inputs:
            self._queue.add(item)

    def _step(self) -> None:
        for pending in self._deadlines.pop_expired(time.monotonic()):
            self._end(pending, OutcomeStatus.EXPIRED)
        items = self._queue.take(self._max_batch_tokens)
        if not items:
            return
        started = time.monotonic()
        results = self._runner.compute(items)
        tokens = sum(len(item.token_ids) for item in items)
        self._counters.count(len(items), tokens, time.monotonic() - started)
        for result in results:
            self._deliver(result)

    def _deliver(self, result: Computed) -> None:
        owner = result.item.owner
        if result.vector is None:
            self._end(owner, OutcomeStatus.FAILED, f"{result.error} (inputs[{result.item.index}])")
            return
        owner.put(result.item.index, result.vector)
        if owner.outcome is not None:
            self._running.discard(owner)

    def _end(self, pending: PendingEmbedding, status: OutcomeStatus, error: str | None = None) -> None:
        for item in pending.inputs:
            self._queue.discard(item)
        self._running.discard(pending)
        pending.end(status, error)

    def _end_everything(self, status: OutcomeStatus, error: str | None = None) -> None:
        for pending in [*self._running, *self._inbox.drain()]:
            self._end(pending, status, error)

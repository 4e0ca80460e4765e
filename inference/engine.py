"""The engine: one thread that runs all requests in one continuous batch."""

import logging
import threading
from dataclasses import replace

from inference.batch import Batch
from inference.errors import EngineStopped, EngineStuck
from inference.fatal import OnFatal, tell_fatal
from inference.generation import Generation
from inference.inbox import Inbox, Message
from inference.loader import LoadedModel, use_available_cores
from inference.request import GenerationRequest, Listener, OutcomeStatus
from inference.sequence import Sequence
from inference.stats import EngineStats
from inference.validation import validate
from inference.warm_up import warm_up
from inference.watchdog import Watchdog

logger = logging.getLogger(__name__)


class Engine:
    """Continuous batching over a loaded model.

    What a request generates depends on the request alone, up to rounding: in another batch a matrix
    product may round otherwise. In float32 that practically never shows; in bfloat16 a near tie may
    fall the other way; 8-bit layers on a CPU may use other kernels for a few rows than for many.

    ``slots`` is how many requests are generated at the same time; ``max_batch_tokens`` bounds the
    tokens of one step (and so its time); ``kv_budget_bytes`` the memory for keys and values.
    ``on_fatal`` is called when the engine can't go on, or when a step takes longer than
    ``step_timeout_seconds`` (0: however long), from a thread of the engine's. Only when it has
    returned does every request end as failed: a process that ends in it leaves its requests
    unanswered, for somebody else to run.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        slots: int = 64,
        max_batch_tokens: int = 512,
        kv_budget_bytes: int | None = None,
        step_timeout_seconds: float = 0.0,
        on_fatal: OnFatal | None = None,
    ) -> None:
        self._vocab_size = loaded.vocab_size
        self._on_fatal = on_fatal
        self._watchdog = Watchdog(step_timeout_seconds, self._give_up)
        self._batch = Batch(
            loaded,
            slots=slots,
            max_batch_tokens=max_batch_tokens,
            kv_budget_bytes=kv_budget_bytes,
            beat=self._watchdog.beat,
        )
        self._inbox: Inbox[Sequence] = Inbox()
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def max_context(self) -> int:
        """Prompt and output tokens that a request may have together."""
        return self._batch.max_context

    def warm_up(self) -> None:
        """Run a few short generations on the calling thread, before ``start``.

        Raises what the model raises.
        """
        if self._thread is not None:
            raise RuntimeError("the engine warms up before it starts")
        warm_up(self._batch, self._vocab_size)

    def start(self) -> None:
        """Warm up, then start the engine's thread. Returns when it is ready for requests.

        Raises EngineStopped after a ``stop``, and what the model raises.
        """
        self.warm_up()
        with self._starting:
            if self._inbox.closed:
                raise EngineStopped
            self._start_thread()

    def submit(self, request: GenerationRequest, listener: Listener | None = None) -> Generation:
        """Queue a request; any thread. ``listener`` is called on the engine's thread: it must be quick.

        Raises InvalidGeneration, EngineStopped.
        """
        validate(request, self.max_context, self._vocab_size)
        sequence = self._batch.make_sequence(request, listener)
        self._inbox.submit(sequence)
        return Generation(sequence, self._inbox.cancel)

    def stop(self) -> None:
        """End every request as cancelled and stop the thread. Any number of calls, from any thread.

        Returns when that is done; at once when called from a listener or from ``on_fatal``, or when
        the engine is stuck and has been given up.
        """
        self._inbox.close()
        with self._starting:
            thread = self._thread or self._start_thread()
        if thread is threading.current_thread() or self._watchdog.is_current_thread():
            return
        self._over.wait()
        if not self._watchdog.gave_up:
            thread.join()

    def stats(self) -> EngineStats:
        """Counters and a look at the queue; any thread."""
        stats = self._batch.stats()
        return replace(stats, waiting=stats.waiting + self._inbox.waiting)

    def _start_thread(self) -> threading.Thread:
        self._thread = threading.Thread(target=self._run, name="tokenmill-engine", daemon=True)
        self._watchdog.watch(self._thread)
        self._thread.start()
        return self._thread

    def _run(self) -> None:
        use_available_cores()
        try:
            while self._take_messages():
                self._batch.step()
        except BaseException as error:
            self._watchdog.close()
            if not self._watchdog.gave_up:
                logger.exception("engine failed", extra={"action": "engine_failed"})
                self._inbox.close()
                tell_fatal(self._on_fatal, error)
            self._end_everything(OutcomeStatus.FAILED, f"the engine failed: {error}")
        else:
            self._end_everything(OutcomeStatus.CANCELLED)
        finally:
            self._watchdog.close()
            self._over.set()

    def _take_messages(self) -> bool:
        """Take in what other threads sent, waiting for it when there is nothing to run; False to stop."""
        while self._batch.idle or not self._inbox.empty:
            self._watchdog.rest()
            message, sequence = self._inbox.get()
            self._watchdog.beat(self._batch.running)
            if message is Message.STOP or sequence is None:
                return False
            if message is Message.CANCEL:
                self._batch.end(sequence, OutcomeStatus.CANCELLED)
            else:
                self._batch.add(sequence)
        return True

    def _give_up(self, error: EngineStuck) -> None:
        """The engine's thread is stuck; the watchdog's speaks for it, and stays out of its data."""
        self._inbox.close()
        tell_fatal(self._on_fatal, error)
        for sequence in [*self._batch.all_sequences(), *self._inbox.drain()]:
            self._batch.send_end(sequence, OutcomeStatus.FAILED, str(error))
        self._over.set()

    def _end_everything(self, status: OutcomeStatus, error: str | None = None) -> None:
        self._batch.let_go_of_cache()
        for sequence in [*self._batch.all_sequences(), *self._inbox.drain()]:
            self._batch.end(sequence, status, error)

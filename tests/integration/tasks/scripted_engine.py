"""An engine that does what a test tells it, for tests that are about what happens around it."""

import threading
from collections.abc import Callable

from inference.request import (
    FinishReason,
    GenerationRequest,
    Listener,
    Outcome,
    OutcomeStatus,
    Progress,
    TokenEvent,
    Usage,
)


class ScriptedGeneration:
    """Ends when the test says so, or when it is cancelled."""

    def __init__(self, request: GenerationRequest, listener: Listener) -> None:
        self.request = request
        self.token_ids = request.generated_token_ids
        self._listener = listener
        self._ended = threading.Event()
        self._outcome: Outcome | None = None

    def generate(self, *token_ids: int) -> None:
        self.token_ids += token_ids
        self._listener(TokenEvent(token_ids, "".join(f" {token_id}" for token_id in token_ids)))

    def end(self, status: OutcomeStatus = OutcomeStatus.COMPLETED, text: str | None = None) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        usage = Usage(len(self.request.prompt_token_ids), 0, len(self.token_ids))
        reason = FinishReason.STOP if status is OutcomeStatus.COMPLETED else None
        self._outcome = Outcome(status, self.token_ids, self.text if text is None else text, usage, reason)
        self._listener(self._outcome)

    def cancel(self) -> None:
        self.end(OutcomeStatus.CANCELLED)

    def wait(self, timeout_seconds: float | None = None) -> Outcome | None:
        self._ended.wait(timeout_seconds)
        return self._outcome

    @property
    def text(self) -> str:
        return "".join(f" {token_id}" for token_id in self.token_ids)

    def progress(self) -> Progress:
        return Progress(self.token_ids, self.text)


class ScriptedEngine:
    """``on_submit`` is called with every generation, in the thread that submits it."""

    def __init__(self, on_submit: Callable[[ScriptedGeneration], None] = lambda generation: None) -> None:
        self.generations: list[ScriptedGeneration] = []
        self.submitted = threading.Semaphore(0)
        self._on_submit = on_submit

    def submit(self, request: GenerationRequest, listener: Listener | None = None) -> ScriptedGeneration:
        assert listener is not None
        generation = ScriptedGeneration(request, listener)
        self.generations.append(generation)
        self._on_submit(generation)
        self.submitted.release()
        return generation

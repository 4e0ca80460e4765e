"""What a caller holds of a request that the engine runs."""

from collections.abc import Callable

from inference.request import Outcome, Progress
from inference.sequence import Sequence


class Generation:
    """A submitted request. Any thread may use it."""

    def __init__(self, sequence: Sequence, request_cancel: Callable[[Sequence], None]) -> None:
        self._sequence = sequence
        self._request_cancel = request_cancel

    @property
    def request_id(self) -> str:
        return self._sequence.request.request_id

    def cancel(self) -> None:
        """End it at the next step with what it has; does nothing once it has ended."""
        self._request_cancel(self._sequence)

    def wait(self, timeout_seconds: float | None = None) -> Outcome | None:
        """Block until it ends; None when the time is up first."""
        return self._sequence.wait(timeout_seconds)

    def progress(self) -> Progress:
        """The tokens and the text up to now."""
        return self._sequence.progress()

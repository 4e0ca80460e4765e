"""A request the encoder has not ended yet: which vectors it has, and its one end."""

import logging
import threading
from dataclasses import dataclass

import numpy as np

from inference.embedding_request import EmbeddingListener, EmbeddingOutcome, EmbeddingRequest, Vectors
from inference.request import OutcomeStatus, Usage

logger = logging.getLogger(__name__)

NO_USAGE = Usage(0, 0, 0)
SMALLEST_LENGTH = 1e-12


class PendingEmbedding:
    """The encoder's state of one request. Only its thread changes it; ``wait`` is for any thread.

    ``rank`` orders requests: priority, then arrival. ``normalize`` is already decided here.
    """

    def __init__(
        self,
        request: EmbeddingRequest,
        order: int,
        *,
        width: int,
        normalize: bool,
        listener: EmbeddingListener | None = None,
    ) -> None:
        self.request = request
        self.rank = (-request.priority, order)
        self.inputs = [PendingInput(self, index) for index in range(len(request.inputs))]
        self.outcome: EmbeddingOutcome | None = None
        self._width = width
        self._normalize = normalize
        self._vectors: Vectors | None = None
        self._missing = len(self.inputs)
        self._listener = listener
        self._ended = threading.Event()

    def put(self, index: int, vector: Vectors) -> None:
        """The vector of an input; completes the request when it was the last."""
        if self.outcome is not None:
            return
        if self._vectors is None:
            self._vectors = np.empty((len(self.inputs), self._width), np.float32)
        self._vectors[index] = vector
        self._missing -= 1
        if self._missing == 0:
            vectors = shape_vectors(self._vectors, self.request.dimensions, self._normalize)
            self._end(EmbeddingOutcome(OutcomeStatus.COMPLETED, Usage(self.request.tokens, 0, 0), vectors))

    def end(self, status: OutcomeStatus, error: str | None = None) -> None:
        """The terminal event without vectors; from the second event on nothing happens."""
        if self.outcome is None:
            self._end(EmbeddingOutcome(status, NO_USAGE, error=error))

    def wait(self, timeout_seconds: float | None) -> EmbeddingOutcome | None:
        self._ended.wait(timeout_seconds)
        return self.outcome if self._ended.is_set() else None

    def _end(self, outcome: EmbeddingOutcome) -> None:
        self._vectors = None
        self.outcome = outcome
        if self._listener is not None:
            try:
                self._listener(outcome)
            except BaseException:
                # SystemExit, or asyncio's CancelledError, would end the encoder and everybody's requests.
                logger.exception(
                    "listener failed",
                    extra={"action": "listener_failed", "request_id": self.request.request_id},
                )
        self._ended.set()


@dataclass(frozen=True, slots=True, eq=False)
class PendingInput:
    """One input of a request, by its place in it."""

    owner: PendingEmbedding
    index: int

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.owner.request.inputs[self.index]


def shape_vectors(vectors: Vectors, dimensions: int | None, normalize: bool) -> Vectors:
    """The first ``dimensions`` of each row of ``vectors``, made length 1 where asked for."""
    shaped = np.ascontiguousarray(vectors[:, :dimensions])
    if normalize:
        lengths = np.linalg.norm(shaped, axis=1, keepdims=True)
        shaped = shaped / np.maximum(lengths, SMALLEST_LENGTH)
    return shaped

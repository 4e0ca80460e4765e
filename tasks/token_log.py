"""The tokens of one output as a listener comes to know them: late, twice, out of order, never wrong."""

import threading
from array import array
from collections.abc import Sequence

from inference.request import TokenLogprob

_Ahead = tuple[Sequence[int], Sequence[TokenLogprob]]


class TokenLog:
    """Tokens from the first on without a gap; those that come too early wait until it closes.

    One thread may read while another adds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token_ids = array("i")
        self._logprobs: list[TokenLogprob] = []
        self._ahead: dict[int, _Ahead] = {}

    @property
    def has_gap(self) -> bool:
        return bool(self._ahead)

    def add(self, start: int, token_ids: Sequence[int], logprobs: Sequence[TokenLogprob] = ()) -> None:
        """Take tokens from position ``start``, 0 for the first; those known already change nothing."""
        with self._lock:
            self._add(start, token_ids, logprobs)
            while self._ahead and (first := min(self._ahead)) <= len(self._token_ids):
                self._add(first, *self._ahead.pop(first))

    def read(self, start: int, at_most: int) -> tuple[Sequence[int], Sequence[TokenLogprob]]:
        """Token ids from ``start`` on, with their log-probabilities where those were asked for."""
        with self._lock:
            end = start + at_most
            return self._token_ids[start:end], self._logprobs[start:end]

    def _add(self, start: int, token_ids: Sequence[int], logprobs: Sequence[TokenLogprob]) -> None:
        known = len(self._token_ids)
        if start <= known:
            self._token_ids.extend(token_ids[known - start :])
            self._logprobs.extend(logprobs[known - start :])
        elif len(token_ids) > len(self._ahead.get(start, ((), ()))[0]):
            self._ahead[start] = (token_ids, logprobs)

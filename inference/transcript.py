"""From the tokens of an output to its text and its end. Torch-free, so that whoever has the tokens can
make the same text of them as the engine did."""

from collections.abc import Sequence

from inference.detokenize import Detokenizer
from inference.request import FinishReason, SamplingParams
from inference.stopping import StopSearch


class Transcript:
    """The text of one output, token by token.

    ``finish_reason`` is set by the token that ends the output; where a grammar ends it, that is known
    only to who follows the grammar. What it returns depends on the tokens alone.
    """

    def __init__(
        self, params: SamplingParams, eos_token_ids: frozenset[int], token_bytes: Sequence[bytes]
    ) -> None:
        self._max_tokens = params.max_tokens
        self._min_tokens = params.min_tokens
        self._ending = frozenset(params.stop_token_ids) | (
            frozenset() if params.ignore_eos else eos_token_ids
        )
        self._detokenizer = Detokenizer(token_bytes)
        self._stop_search = StopSearch(params.stop)
        self._length = 0
        self.finish_reason = FinishReason.LENGTH if params.max_tokens == 0 else None

    @property
    def ended(self) -> bool:
        return self.finish_reason is not None

    def ends_with(self, token_id: int) -> bool:
        """Whether this token, coming next, would be one that ends the output and is no text."""
        return self._may_end and token_id in self._ending

    def push(self, token_id: int) -> str:
        """Take the next token; returns the text that is certain now, "" inside a character or a stop."""
        text = ""
        if self.ends_with(token_id):
            self.finish_reason = FinishReason.STOP
        else:
            text = self._stop_search.push(self._detokenizer.push(token_id), may_match=self._may_end)
        self._length += 1
        if self._stop_search.matched:
            self.finish_reason = FinishReason.STOP
        elif not self.ended and self._length >= self._max_tokens:
            self.finish_reason = FinishReason.LENGTH
        return text + self.flush() if self.ended else text

    def flush(self) -> str:
        """What was held back for a stop string, which can't follow any more."""
        return self._stop_search.flush()

    @property
    def _may_end(self) -> bool:
        return self._length >= self._min_tokens

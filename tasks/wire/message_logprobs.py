"""Which tokens' log-probabilities belong to which stretch of a text."""

from collections import deque
from collections.abc import Sequence

from inference.request import TokenLogprob
from tasks.wire.shown_items import OutputLogprob, TopLogprob


class MessageLogprobs:
    """Tokens of an output, handed over as the text that they made is.

    A token belongs to the text in which it begins, so those behind it (the end-of-text, a stop
    string) belong to none.
    """

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._waiting: deque[tuple[int, TokenLogprob]] = deque()
        self._bytes = 0
        self._text_bytes = 0

    def add(self, logprob: TokenLogprob) -> None:
        """The next token."""
        self._waiting.append((self._bytes, logprob))
        self._bytes += len(self._spelled(logprob.token_id))

    def take(self, text: str) -> list[OutputLogprob]:
        """The tokens of the next stretch of text."""
        self._text_bytes += len(text.encode())
        taken = []
        while self._waiting and self._waiting[0][0] < self._text_bytes:
            taken.append(self._shown(self._waiting.popleft()[1]))
        return taken

    def _shown(self, logprob: TokenLogprob) -> OutputLogprob:
        own = self._top(logprob.token_id, logprob.logprob)
        top = [self._top(token_id, value) for token_id, value in logprob.top]
        return OutputLogprob(token=own.token, bytes=own.bytes, logprob=own.logprob, top_logprobs=top)

    def _top(self, token_id: int, logprob: float) -> TopLogprob:
        spelled = self._spelled(token_id)
        # JSON has no infinity.
        return TopLogprob(
            token=spelled.decode(errors="replace"), bytes=list(spelled), logprob=max(logprob, -9999.0)
        )

    def _spelled(self, token_id: int) -> bytes:
        """Models may have more ids than their tokenizer."""
        return self._token_bytes[token_id] if token_id < len(self._token_bytes) else b""

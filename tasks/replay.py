"""The pieces of an output, made of its tokens: the same whenever and however often they are made."""

from collections.abc import Iterator
from itertools import zip_longest

from inference.transcript import Transcript
from tasks.stored_choices import stored_text
from tasks.token_log import TokenLog
from tasks.wire.chunks import Piece

_BATCH = 64


class Replay:
    """Reads one output's log to its present end, time after time."""

    def __init__(self, choice: int, log: TokenLog, transcript: Transcript) -> None:
        self._choice = choice
        self._log = log
        self._transcript = transcript
        self._position = 0

    def news(self) -> Iterator[list[Piece]]:
        """What came since the last time, a few pieces at a time."""
        while pieces := self._next():
            yield pieces

    def tail(self) -> list[Piece]:
        """The text still held back, once there is nothing more to come."""
        text = self._transcript.flush()
        return [Piece(choice=self._choice, position=self._position, text=stored_text(text))] if text else []

    def _next(self) -> list[Piece]:
        token_ids, logprobs = self._log.read(self._position, _BATCH)
        pieces = []
        for token_id, logprob in zip_longest(token_ids, logprobs):
            self._position += 1
            text = stored_text(self._transcript.push(token_id))
            pieces.append(
                Piece(
                    choice=self._choice,
                    position=self._position,
                    text=text,
                    token_id=token_id,
                    logprob=logprob,
                )
            )
        return pieces

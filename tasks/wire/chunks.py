"""Between a job's tokens as they come and the events of an endpoint's stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from inference.request import TokenLogprob
from tasks.result import JobResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A token of an output and the text that it completed, "" inside a character or a possible stop.

    ``position`` counts the tokens of this output, this one included; a repetition of a stream gives
    the same pieces. Text still held back at the end comes in a piece without a token.
    """

    choice: int
    position: int
    text: str
    token_id: int | None = None
    logprob: TokenLogprob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event; ``data`` is JSON, or ``[DONE]``."""

    data: str
    event: str | None = None


class Renderer(Protocol):
    """Makes an endpoint's events. One per stream, called in order: ``begin``, ``piece``…, ``end``.

    What it returns must depend on nothing but what it was given, so that a stream that is begun again
    has the same events under the same numbers.
    """

    def begin(self, result: JobResult) -> Iterable[Event]:
        """Before the first piece; the job may be queued, running or ended."""

    def piece(self, piece: Piece) -> Iterable[Event]: ...

    def end(self, result: JobResult) -> Iterable[Event]:
        """After the last piece, once the job's ending is durable, whatever it is."""

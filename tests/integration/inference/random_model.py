"""A model that knows nothing but its vocabulary."""

from random import Random

import numpy as np

from inference.detokenize import Detokenizer
from inference.grammar import GrammarMatcher
from inference.prompts import PromptRenderer

MAX_TOKENS = 400
CLOSING = frozenset(b'"}])')


class RandomModel:
    """Chooses any allowed token, and prefers those with which things come to an end."""

    def __init__(self, renderer: PromptRenderer) -> None:
        self._table = renderer.token_bytes
        self._eos_token_ids = renderer.eos_token_ids
        self._random = Random(0)
        self._closing = np.array([not CLOSING.isdisjoint(text) for text in self._table])

    def run(self, matcher: GrammarMatcher, seed: int) -> str | None:
        """The text up to the end; None where it doesn't come to one."""
        self._random = Random(seed)
        text = Detokenizer(self._table)
        pieces: list[str] = []
        for _ in range(MAX_TOKENS):
            if matcher.ended:
                return "".join(pieces)
            token_id = self._choose(matcher)
            matcher.advance(token_id)
            if token_id not in self._eos_token_ids:
                assert self._table[token_id], "a token without text"
                pieces.append(text.push(token_id))
        return None

    def _choose(self, matcher: GrammarMatcher) -> int:
        bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little").astype(bool)
        known = len(self._table)
        assert bits.any()
        assert not bits[known:].any()
        closing = bits[:known] & self._closing
        if closing.any() and self._random.random() < 0.3:
            bits = closing
        return int(self._random.choice(bits.nonzero()[0]))

"""Keeps control tokens out of the reach of those who write messages.

A chat template joins its own control tokens and the users' words into one text, and a tokenizer
can't tell who wrote what. So a mark (a noncharacter of Unicode, refused in the words themselves)
is put before everything of a user that could be read as a control token. The template works on
nearly the text it expects; afterwards a control token behind a mark is known to be a user's, and
is encoded as the plain text it is.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer

from inference.errors import InvalidPrompt

MARK = "\ufdd0"
UNGUARDED_KEY = "role"


class ControlTokens:
    """The control tokens of a tokenizer, and an encoding that respects who spelled them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        added = tokenizer.get_added_tokens_decoder()
        self._tokenizer = tokenizer
        self._ids = {token.content: token_id for token_id, token in added.items() if token.special}
        longest_first = sorted(self._ids, key=len, reverse=True)
        any_of_them = "|".join(map(re.escape, longest_first)) or "(?!)"
        self._starts = re.compile(f"(?={any_of_them})")
        self._unmarked = re.compile(f"(?<!{MARK})({any_of_them})")
        self._beginnings = {token[:length] for token in self._ids for length in range(1, len(token))}
        self._longest = max(map(len, self._ids), default=0)

    @cached_property
    def _plain(self) -> Tokenizer:
        plain = copy.deepcopy(self._tokenizer)
        plain.encode_special_tokens = True
        return plain

    def occur_in(self, text: str) -> bool:
        return self._starts.search(text) is not None

    def guard(self, messages: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
        """The messages with marks where text could be read as a control token.

        Roles are left alone: templates compare them. Raises InvalidPrompt where a text holds the mark.
        """
        return [
            {key: item if key == UNGUARDED_KEY else self._guard(item) for key, item in message.items()}
            for message in messages
        ]

    def encode(self, text: str) -> list[int]:
        """The tokens of a rendered template. Raises InvalidPrompt should a user's control token slip in."""
        if MARK not in text:
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        token_ids: list[int] = []
        for index, piece in enumerate(self._unmarked.split(text)):
            if index % 2:
                token_ids.append(self._ids[piece])
            elif piece:
                token_ids.extend(self._encode_plain(piece.replace(MARK, "")))
        return token_ids

    def _encode_plain(self, text: str) -> list[int]:
        token_ids = self._plain.encode(text, add_special_tokens=False).ids
        if not set(self._ids.values()).isdisjoint(token_ids):
            raise InvalidPrompt("A message holds a control token of the model.")
        return token_ids

    def _guard(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._mark(value)
        if isinstance(value, Mapping):
            return {self._guard(key): self._guard(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._guard(item) for item in value]
        return value

    def _mark(self, text: str) -> str:
        if MARK in text:
            raise InvalidPrompt("A message holds U+FDD0, which is no character.")
        cuts = [0, *self._marked_positions(text), len(text)]
        return MARK.join(text[start:end] for start, end in pairwise(cuts))

    def _marked_positions(self, text: str) -> list[int]:
        """Where a control token starts, or could once a template has joined the text to the next."""
        positions = {match.start() for match in self._starts.finditer(text)}
        stripped = text.rstrip()
        for length in range(1, min(self._longest, len(stripped) + 1)):
            if stripped[-length:] in self._beginnings:
                positions.add(len(stripped) - length)
        return sorted(positions)
